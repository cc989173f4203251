package mailcore

import (
	"io"

	"github.com/panelmail/panelmail/transport"
)

// bounded is r up to the message size limit; more than that is an error, never a
// message cut short.
func (s *desk) bounded(r io.Reader) io.Reader {
	return &boundedReader{r: r, left: s.config.MessageSize, refusal: transport.Replyf(552, "5.3.4", "Error: message file too big")}
}

type boundedReader struct {
	r       io.Reader
	left    int64
	refusal error // of more than that
}

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.refusal
	}
	return n, err
}

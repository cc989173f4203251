package smtpclient

import (
	"bytes"
)

// maxTranscript is how much of a dialogue is kept, in octets.
const maxTranscript = 4 << 10

// A transcript keeps the end of a dialogue, whole lines with "C: " or "S: "
// before each.
type transcript struct{ buf []byte }

func (t *transcript) client(line string) { add(t, "C: ", line) }

func (t *transcript) server(line string) { add(t, "S: ", line) }

// add adds a line without making a string of what is none.
func add[T string | []byte](t *transcript, who string, line T) {
	if len(t.buf) > 2*maxTranscript {
		t.buf = append(t.buf[:0], t.tail()...)
	}
	t.buf = append(t.buf, who...)
	t.buf = append(t.buf, line...)
	t.buf = append(t.buf, '\n')
}

// tail is the last whole lines that maxTranscript holds.
func (t *transcript) tail() []byte {
	if len(t.buf) <= maxTranscript {
		return t.buf
	}
	b := t.buf[len(t.buf)-maxTranscript-1:]
	return b[bytes.IndexByte(b, '\n')+1:]
}

func (t *transcript) reset() { t.buf = t.buf[:0] }

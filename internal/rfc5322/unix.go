package rfc5322

import (
	"bufio"
	"bytes"
	"io"
)

// NewUnix returns a reader that gives what r gives with each CRLF as LF, and
// changes nothing else: a CR before any other octet stays.
func NewUnix(r io.Reader) io.Reader { return &unixReader{r: bufio.NewReader(r)} }

type unixReader struct {
	r    *bufio.Reader
	line []byte // what is left of the line read last; part of the buffer of r
	err  error  // given when line is empty
}

// Read implements [io.Reader].
func (u *unixReader) Read(p []byte) (int, error) {
	if len(u.line) == 0 && u.err == nil {
		u.fill()
	}
	if len(u.line) == 0 {
		return 0, u.err
	}
	n := copy(p, u.line)
	u.line = u.line[n:]
	return n, nil
}

// fill reads one line, or as much of it as fits the buffer but for a CR at its
// end, which may belong to an LF that is still to come.
func (u *unixReader) fill() {
	line, err := u.r.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull && line[len(line)-1] == '\r':
		_ = u.r.UnreadByte() // cannot fail after ReadSlice
		line = line[:len(line)-1]
	case err == bufio.ErrBufferFull:
	case err != nil:
		u.err = err
	case bytes.HasSuffix(line, crlf):
		line[len(line)-2] = '\n'
		line = line[:len(line)-1]
	}
	u.line = line
}

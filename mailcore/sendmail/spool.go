package sendmail

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// inMemory is how many octets of a message are kept in memory; the rest goes to
// a file.
const inMemory = 1 << 20

// A spool holds a message until somebody took it: the message must have been read
// to its end before the server sees any of it. The zero spool is empty and ready
// for use.
type spool struct {
	memory   []byte
	file     *os.File // has no name any more
	size     int64
	eightBit bool // an octet from 0x80 on was written
}

// Write implements [io.Writer].
func (s *spool) Write(p []byte) (int, error) {
	s.eightBit = s.eightBit || bytes.ContainsFunc(p, func(r rune) bool { return r >= 0x80 })
	n := min(len(p), inMemory-len(s.memory))
	s.memory = append(s.memory, p[:n]...)
	s.size += int64(n)
	if n == len(p) {
		return n, nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "panelmail-") // mode 0600
		if err != nil {
			return n, err
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return n, err
		}
	}
	m, err := s.file.Write(p[n:])
	s.size += int64(m)
	return n + m, err
}

// content reads what was written, from its beginning.
func (s *spool) content() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.memory)
	}
	return io.MultiReader(bytes.NewReader(s.memory),
		io.NewSectionReader(s.file, 0, s.size-int64(len(s.memory))))
}

// close frees the file, if there is one.
func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

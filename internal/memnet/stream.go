package memnet

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many octets one direction holds before a write blocks.
const window = 64 << 10

// A stream is one direction of a connection.
type stream struct {
	mu   sync.Mutex
	wake sync.Cond // broadcast whenever a waiting side may have something to do

	buf  []byte // unread octets are buf[off:]
	off  int
	fin  bool  // the writer has closed: EOF after what is buffered
	err  error // the connection was reset: for the reader after what is buffered, for the writer at once
	gone bool  // the reader has closed: nobody will read what is written

	readBy, writeBy deadline
}

func newStream() *stream {
	s := new(stream)
	s.wake.L = &s.mu
	return s
}

// read waits for octets, the end or the deadline.
func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readBy.expired:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.off < len(s.buf):
			n := copy(p, s.buf[s.off:])
			s.off += n
			if s.off == len(s.buf) {
				s.buf, s.off = s.buf[:0], 0
			}
			s.wake.Broadcast()
			return n, nil
		case s.err != nil:
			return 0, s.err
		case s.fin:
			return 0, io.EOF
		}
		s.wake.Wait()
	}
}

// write waits for room until all of p is buffered.
func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		switch {
		case s.writeBy.expired:
			return written, os.ErrDeadlineExceeded
		case s.err != nil:
			return written, s.err
		case s.fin:
			return written, syscall.EPIPE
		case s.gone: // a kernel answers data for a closed socket with a reset
			s.err = syscall.ECONNRESET
			return written, syscall.EPIPE
		}
		written += s.put(p[written:])
		if written == len(p) {
			return written, nil
		}
		s.wake.Wait()
	}
}

// put buffers as much of p as there is room for.
func (s *stream) put(p []byte) int {
	n := min(len(p), window-(len(s.buf)-s.off))
	if n <= 0 {
		return 0
	}
	if s.off > 0 && len(s.buf)+n > cap(s.buf) {
		s.buf = s.buf[:copy(s.buf, s.buf[s.off:])]
		s.off = 0
	}
	s.buf = append(s.buf, p[:n]...)
	s.wake.Broadcast()
	return n
}

// closeWrite lets the reader see EOF after what is buffered.
func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fin = true
	s.wake.Broadcast()
}

// closeRead drops what is buffered and reports whether there was anything.
func (s *stream) closeRead() (unread bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unread = s.off < len(s.buf)
	s.gone = true
	s.buf, s.off = nil, 0
	s.wake.Broadcast()
	return unread
}

// reset makes both sides fail with err; the reader first gets what is buffered.
func (s *stream) reset(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.wake.Broadcast()
}

// setDeadline sets d, one of the stream's two deadlines.
func (s *stream) setDeadline(d *deadline, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.at = t
	d.expired = false
	if d.timer != nil {
		d.timer.Stop()
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	switch {
	case wait <= 0:
		d.expired = true
		s.wake.Broadcast()
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, func() { s.expire(d) })
	default:
		d.timer.Reset(wait)
	}
}

// expire is the timer's call. The deadline may have been moved meanwhile.
func (s *stream) expire(d *deadline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.at.IsZero() || time.Now().Before(d.at) {
		return
	}
	d.expired = true
	s.wake.Broadcast()
}

// A deadline is guarded by its stream's mutex.
type deadline struct {
	at      time.Time
	expired bool
	timer   *time.Timer // made when first needed, then reused
}

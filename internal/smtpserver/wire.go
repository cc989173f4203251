package smtpserver

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

const (
	readBuffer  = 16 << 10
	writeBuffer = 4 << 10
)

// A wire is the two buffers of a dialogue, above TLS, and the deadlines below.
//
// Replies wait in the write buffer until the dialogue must wait for the client:
// the read that finds the read buffer empty sends them first. So a client that
// pipelines gets its replies together, and none waits for a reply that is not
// sent.
type wire struct {
	raw  net.Conn // below TLS
	conn net.Conn // raw, or TLS over it
	r    *bufio.Reader
	w    *bufio.Writer

	// How long waiting for the client may still take. While content is read,
	// rate octets give a second back; with a negative rate any octet gives all.
	timeout, left time.Duration
	rate          int

	mu       sync.Mutex
	draining bool // the server stops
	busy     bool // in a transaction, which may be finished all the same
}

func newWire(nc net.Conn, timeout time.Duration) *wire {
	w := &wire{raw: nc, conn: nc, timeout: timeout}
	w.r = bufio.NewReaderSize(w, readBuffer)
	w.w = bufio.NewWriterSize(w, writeBuffer)
	return w
}

// await starts the time for a command, or with a rate other than 0 that for content.
func (w *wire) await(rate int) { w.left, w.rate = w.timeout, rate }

// Read fills the read buffer. It is the only place where the dialogue waits for
// the client.
func (w *wire) Read(p []byte) (int, error) {
	if err := w.w.Flush(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := w.setReadDeadline(start.Add(w.left)); err != nil {
		return 0, err
	}
	// TLS may have to write before it can read on: a KeyUpdate (RFC 8446 section
	// 4.6.3). The deadline of the last reply can be over by then.
	if err := w.raw.SetWriteDeadline(start.Add(w.left + w.timeout)); err != nil {
		return 0, err
	}
	n, err := w.conn.Read(p)
	w.left -= time.Since(start)
	switch {
	case w.rate > 0:
		w.left = min(w.timeout, w.left+time.Duration(n)*time.Second/time.Duration(w.rate))
	case w.rate < 0 && n > 0:
		w.left = w.timeout
	}
	return n, err
}

// Write empties the write buffer.
func (w *wire) Write(p []byte) (int, error) {
	if err := w.raw.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

// drain makes reads fail that wait for a command outside transactions, now and
// from now on. It may be called from any goroutine.
func (w *wire) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if !w.busy {
		w.raw.SetReadDeadline(longAgo())
	}
}

// setBusy says whether a transaction is under way.
func (w *wire) setBusy(busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = busy
}

// stopped reports whether the dialogue is to end here.
func (w *wire) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining && !w.busy
}

func (w *wire) setReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining && !w.busy {
		t = longAgo()
	}
	return w.raw.SetReadDeadline(t)
}

func longAgo() time.Time { return time.Unix(1, 0) }

// upgrade puts TLS above the connection. The read buffer must be empty.
func (w *wire) upgrade(c *tls.Conn) { w.conn = c }

// What a client that is cut off may still send before the connection is closed.
const (
	lingerTime   = time.Second
	lingerOctets = 256 << 10
)

// linger gives the last reply a chance to arrive: a close with unread data
// resets the connection, and a reset can overtake the reply.
func (w *wire) linger() {
	if w.w.Flush() != nil {
		return
	}
	if t, ok := w.conn.(*tls.Conn); ok && t.CloseWrite() != nil {
		return
	}
	half, ok := w.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if w.raw.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		io.CopyN(io.Discard, w.raw, lingerOctets)
	}
}

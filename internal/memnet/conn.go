package memnet

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// A Conn is one end of a connection in memory. Its methods may be called from
// several goroutines at once.
type Conn struct {
	in, out       *stream
	local, remote netip.AddrPort
	closed        atomic.Bool
}

var _ net.Conn = (*Conn)(nil)

// Pipe returns the two ends of a new connection; a is the local address of the
// first and b that of the second.
func Pipe(a, b netip.AddrPort) (*Conn, *Conn) {
	there, back := newStream(), newStream()
	return &Conn{in: back, out: there, local: a, remote: b},
		&Conn{in: there, out: back, local: b, remote: a}
}

// Read implements [net.Conn]. It returns [io.EOF] after the peer has closed its
// side for writing and everything was read.
func (c *Conn) Read(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, c.failed("read", net.ErrClosed)
	}
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = c.failed("read", err)
	}
	return n, err
}

// Write implements [net.Conn]. It blocks while 64 KiB wait to be read.
func (c *Conn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, c.failed("write", net.ErrClosed)
	}
	n, err := c.out.write(p)
	if err != nil {
		err = c.failed("write", err)
	}
	return n, err
}

// Close implements [net.Conn]. The peer still reads what was written, unless
// there was something that this side had not read: then the connection is
// reset, as a kernel does.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return c.failed("close", net.ErrClosed)
	}
	c.stopTimers()
	if c.in.closeRead() {
		c.out.reset(syscall.ECONNRESET)
	}
	c.out.closeWrite()
	return nil
}

// CloseWrite ends the sending direction: the peer reads EOF, and can still be
// read from.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return c.failed("close", net.ErrClosed)
	}
	c.out.closeWrite()
	return nil
}

// Reset aborts the connection: after what is buffered the peer's reads fail
// with ECONNRESET, and its writes fail at once.
func (c *Conn) Reset() {
	c.closed.Store(true)
	c.stopTimers()
	c.in.reset(syscall.ECONNRESET)
	c.out.reset(syscall.ECONNRESET)
}

// stopTimers ends the deadlines, and with them every call that still waits.
func (c *Conn) stopTimers() {
	past := time.Unix(1, 0)
	c.in.setDeadline(&c.in.readBy, past)
	c.out.setDeadline(&c.out.writeBy, past)
}

// LocalAddr implements [net.Conn]; it is a *[net.TCPAddr].
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements [net.Conn]; it is a *[net.TCPAddr].
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.closed.Load() {
		return c.failed("set", net.ErrClosed)
	}
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// failed wraps err as package net does. A call that Close interrupted says so.
func (c *Conn) failed(op string, err error) error {
	if c.closed.Load() {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

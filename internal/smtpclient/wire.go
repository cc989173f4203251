package smtpclient

import (
	"bufio"
	"context"
	"errors"
	"sync"
	"time"
)

// lastWords is how long a reply is waited for after a write has failed. The peer is
// gone by then: what it said before is here, or nearly.
const lastWords = 5 * time.Second

// Buffers are what a method reads and writes with. An idle client has none: there may
// be a thousand of them.
type buffers struct {
	r     *bufio.Reader // of replies
	w     *bufio.Writer
	block []byte // of content
}

var spare = sync.Pool{New: func() any {
	return &buffers{bufio.NewReaderSize(nil, readSize), bufio.NewWriterSize(nil, blockSize), make([]byte, blockSize)}
}}

// takeBuffers takes buffers, if there are none.
func (c *Client) takeBuffers() {
	if c.buffers != nil {
		return
	}
	c.buffers = spare.Get().(*buffers)
	c.r.Reset(c.conn)
	c.w.Reset(timedWriter{c})
	c.replies.r = c.r
}

// giveBuffers gives them back, unless the peer has said more than was asked: that is
// for the next method to find. After a panic a listener may still read.
func (c *Client) giveBuffers() {
	if c.listening || c.r.Buffered() > 0 {
		return
	}
	c.r.Reset(nil)
	c.w.Reset(nil)
	spare.Put(c.buffers)
	c.buffers, c.replies.r = nil, nil
}

// timedWriter gives every write to the connection the limit of its step.
type timedWriter struct{ c *Client }

// Write implements [io.Writer].
func (w timedWriter) Write(p []byte) (int, error) {
	c := w.c
	c.armWrite(c.onWrite)
	if !c.content || c.timeouts.MinRate < 0 {
		return c.conn.Write(p)
	}
	start := time.Now()
	n, err := c.conn.Write(p)
	earned := time.Duration(n) * time.Second / time.Duration(c.timeouts.MinRate)
	c.onWrite = min(c.timeouts.Block, c.onWrite-time.Since(start)+earned)
	return n, err
}

// begin starts an exported method: from here to end, ctx rules the connection.
func (c *Client) begin(ctx context.Context) error {
	if c.broken != nil {
		return c.broken
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() != nil {
		c.leave = context.AfterFunc(ctx, c.cut)
	}
	c.takeBuffers()
	return nil
}

// end completes an exported method: an [*Error], or a context that is done, is
// the end of the connection.
func (c *Client) end(ctx context.Context, err *error) {
	c.giveBuffers()
	interrupted := c.leave != nil && !c.leave()
	c.leave = nil
	if *err == nil && !interrupted {
		return
	}
	var broke *Error
	switch {
	case errors.As(*err, &broke):
		if interrupted && !errors.Is(broke.Err, ErrProtocol) {
			broke.Err = ctx.Err()
		}
		c.shut(broke)
	case interrupted:
		c.shut(ctx.Err())
	}
}

// shut closes the connection without another octet: no QUIT, no close_notify.
func (c *Client) shut(why error) {
	if c.broken == nil {
		c.broken = why
	}
	c.raw.Close()
}

// interrupt makes every read and write fail, now and later.
func (c *Client) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	c.raw.SetDeadline(past())
}

// hush makes writes fail until the next transaction: the peer has spoken.
func (c *Client) hush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoken = true
	c.raw.SetWriteDeadline(past())
}

// unhush undoes hush.
func (c *Client) unhush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoken = false
}

// armRead allows reads to take until limit from now; zero is for ever.
func (c *Client) armRead(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.interrupted:
	case limit == 0:
		c.raw.SetReadDeadline(time.Time{})
	default:
		c.raw.SetReadDeadline(time.Now().Add(limit))
	}
}

func (c *Client) armWrite(limit time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.interrupted && !c.spoken {
		c.raw.SetWriteDeadline(time.Now().Add(limit))
	}
}

// past is an instant that is over on every clock.
func past() time.Time { return time.Unix(1, 0) }

// command sends one line and reads the reply to it.
func (c *Client) command(step Step, limit time.Duration, line string) (Reply, error) {
	return c.ask(step, limit, line, line)
}

// ask is command for a line that is shown in another form.
func (c *Client) ask(step Step, limit time.Duration, line, shown string) (Reply, error) {
	if err := c.unasked(step); err != nil {
		return Reply{}, err
	}
	c.log.client(shown)
	c.onWrite = limit
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return c.lastReply(step, err)
	}
	return c.reply(step, limit)
}

// unasked fails if the peer has said something that is not an answer.
func (c *Client) unasked(step Step) error {
	if c.replies.r.Buffered() == 0 {
		return nil
	}
	return &Error{step, malformed("a reply to nothing that was asked")}
}

// reply reads the reply to what was sent last.
func (c *Client) reply(step Step, limit time.Duration) (Reply, error) {
	c.armRead(limit)
	r, err := c.replies.read()
	if err != nil {
		return Reply{}, &Error{step, err}
	}
	if r.Code == 421 { // RFC 5321 section 3.8: it will close
		c.goodbye = true
	}
	return r, nil
}

// lastReply looks for what the peer said before it closed, after a write failed for
// the given cause. A refusal counts; anything else does not explain the end.
func (c *Client) lastReply(step Step, cause error) (Reply, error) {
	r, err := c.reply(step, lastWords)
	if err != nil || !r.refused() {
		return Reply{}, &Error{step, cause}
	}
	c.goodbye = true
	return r, nil
}

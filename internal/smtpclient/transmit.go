package smtpclient

import (
	"errors"
	"strconv"
)

// errSpoke says that the peer did not wait for the end of the content.
var errSpoke = errors.New("the peer spoke before the end of the content")

// A listener hears whether the peer speaks while content is being written. It owns
// the reading side of the connection until done is closed.
type listener struct {
	done chan struct{}
	err  error // set before done is closed; nil: there is something to read
}

// listen begins to listen. The goroutine ends when the peer speaks, or with the
// connection.
func (c *Client) listen() *listener {
	c.armRead(0) // the writes have limits
	l := &listener{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		_, l.err = c.replies.r.Peek(1)
		c.hush()
	}()
	return l
}

// heard reports whether there is something to read, or nothing more to come.
func (l *listener) heard() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// wait waits for the listener to end.
func (l *listener) wait() error {
	if l == nil {
		return nil
	}
	<-l.done
	return l.err
}

// transmit writes the content after a 354 and takes the answer. Content of one
// block needs nobody to listen meanwhile: any network buffers that much.
func (c *Client) transmit(t *transaction, b *body) error {
	if c.replies.r.Buffered() > 0 {
		return c.early(t)
	}
	var l *listener
	if !b.last {
		l = c.listen()
	}
	c.listening = l != nil
	err := c.write(b, l)
	c.log.client("(" + strconv.FormatInt(b.total, 10) + " octets of content)")
	if err == nil {
		err = c.finish(t, l)
	} else {
		err = c.torn(t, l, err)
	}
	c.listening = false // both have waited for it
	return err
}

// torn ends a connection on which the content came to a stop. If that was the
// peer's doing it may have said why.
func (c *Client) torn(t *transaction, l *listener, cause error) error {
	var (
		content    *ContentError
		unsendable *Unsendable
	)
	if errors.As(cause, &content) || errors.As(cause, &unsendable) {
		c.shut(cause)
		l.wait()
		return &Error{StepContent, cause}
	}
	c.armRead(lastWords)
	if err := l.wait(); err != nil {
		return &Error{StepContent, err}
	}
	if err := c.early(t); err != nil {
		if errors.Is(err, ErrProtocol) {
			return err
		}
		return &Error{StepContent, cause}
	}
	return nil
}

// write writes the content and the final dot. An error means that the peer has not
// got the dot.
func (c *Client) write(b *body, l *listener) error {
	c.onWrite, c.content = c.timeouts.Block, true
	defer func() { c.content = false }()
	s := stuffer{w: c.w}
	for {
		if err := s.write(b.block); err != nil {
			return err
		}
		if l.heard() {
			return errSpoke
		}
		if b.last {
			break
		}
		if err := b.next(); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	return c.w.Flush()
}

// early takes a reply that came before the content was complete. A refusal stands;
// the content does not go on, and so the connection cannot.
func (c *Client) early(t *transaction) error {
	r, err := c.reply(StepContent, lastWords)
	switch {
	case err != nil:
		return err
	case !r.refused():
		return &Error{StepContent, malformed("%w: %v", errSpoke, r)}
	}
	t.res.DataReply = r
	c.shut(&Error{StepContent, errSpoke})
	return nil
}

// finish takes the answer to the content.
func (c *Client) finish(t *transaction, l *listener) error {
	t.res.Uncertain = true
	c.log.client(".")
	c.armRead(c.timeouts.Dot)
	if err := l.wait(); err != nil {
		return &Error{StepDot, err}
	}
	c.unhush()
	var err error
	if c.options.LMTP {
		err = c.finishEach(t)
	} else {
		t.res.DataReply, err = c.verdict()
	}
	if err != nil {
		return err
	}
	t.res.Uncertain = false
	c.leftover = false
	if c.replies.r.Buffered() > 0 {
		c.goodbye = true
	}
	return nil
}

// finishEach takes one answer for each recipient that was accepted (RFC 2033 section
// 4.2).
func (c *Client) finishEach(t *transaction) (err error) {
	t.res.DataReplies = make([]Reply, len(t.res.RcptReplies))
	for i, r := range t.res.RcptReplies {
		if !r.OK() {
			continue
		}
		if t.res.DataReplies[i], err = c.verdict(); err != nil {
			return err
		}
	}
	return nil
}

// verdict reads an answer to the content.
func (c *Client) verdict() (Reply, error) {
	r, err := c.reply(StepDot, c.timeouts.Dot)
	if err == nil && !r.OK() && !r.refused() {
		return Reply{}, &Error{StepDot, malformed("unexpected reply %v", r)}
	}
	return r, err
}

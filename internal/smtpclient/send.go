package smtpclient

import (
	"context"
	"errors"
	"io"
	"time"
)

// window is how many octets of commands go out before the replies to them are
// read (RFC 2920 section 3.1: neither side's buffers may fill up).
const window = 8 << 10

// A Result is what the peer said about one message. A zero Reply means that it
// said nothing: it was not asked, or the connection broke.
type Result struct {
	MailReply   Reply
	RcptReplies []Reply // one per recipient
	DataReply   Reply   // to the content; to DATA itself if that was refused

	// DataReplies has, in LMTP, the reply to the content for each recipient.
	DataReplies []Reply

	// Uncertain says that all of the content was sent and the answer did not
	// come: the peer may have taken the message for the recipients it had
	// accepted (RFC 5321 section 4.5.3.2.6).
	Uncertain bool
}

// Reply is the last word on recipient i: the first refusal it met, or the answer to
// the content. Zero means that there is none.
func (r *Result) Reply(i int) Reply {
	switch {
	case r.MailReply.refused():
		return r.MailReply
	case !r.RcptReplies[i].OK():
		return r.RcptReplies[i]
	case r.DataReplies != nil && !r.DataReply.refused():
		return r.DataReplies[i]
	}
	return r.DataReply
}

// A transaction is one call of Send under way.
type transaction struct {
	res      *Result
	accepted int  // recipients
	ready    bool // the peer has said 354
	counted  bool // there was one reply to each command: see confirm
}

// Send carries one message: MAIL, RCPT for each recipient, DATA, in one write if the
// peer offers PIPELINING (RFC 2920), and the content after the 354. Content has
// CRLF line ends; dots are stuffed here. If every recipient was refused no content
// is sent.
//
// The error is nil if the peer has answered, whatever it said: see
// [Result.Reply]. An [*AddressError] and an [*Unsendable] are our own verdicts.
// A [*ContentError] is trouble on our side; a [*Error] the end of the connection,
// with the Result telling what the peer had said before, without refusals of which it
// is not sure whom they are for. After [ErrProtocol] it tells nothing. See [Client.Reusable] for whether another message may follow.
func (c *Client) Send(ctx context.Context, e Envelope, content io.Reader) (res Result, err error) {
	res.RcptReplies = make([]Reply, len(e.To))
	if err := c.begin(ctx); err != nil {
		return res, err
	}
	defer c.end(ctx, &err)
	t := &transaction{res: &res}
	defer func() {
		switch {
		case errors.Is(err, ErrProtocol) && !res.Uncertain:
			res = Result{RcptReplies: make([]Reply, len(e.To))}
		case err != nil && !t.counted:
			t.withhold()
		}
	}()
	if c.sent {
		c.log.reset()
	}
	c.sent = true
	body := c.newBody(&e, content)
	if err := body.next(); err != nil {
		return res, err
	}
	if err := c.compose(&e); err != nil {
		return res, err
	}
	if err := c.propose(t); err != nil {
		return res, err
	}
	switch {
	case !t.ready:
		return res, nil
	case t.accepted == 0:
		return res, c.decline()
	}
	return res, c.transmit(t, body)
}

// propose says the commands of the batch and takes the replies, in windows of one
// command if the peer does not pipeline.
func (c *Client) propose(t *transaction) error {
	_, pipelining := c.ext["PIPELINING"]
	all := len(c.batch.ends)
	for next := 0; next < all && !c.hopeless(t, next); {
		until, err := c.say(next, pipelining)
		if err != nil {
			return err
		}
		if err := c.w.Flush(); err != nil {
			r, err := c.lastReply(c.step(next), err)
			if r.Code != 0 {
				c.take(t, next, r)
				err = &Error{c.step(next), io.ErrUnexpectedEOF}
			}
			return err
		}
		for ; next < until; next++ {
			step := c.step(next)
			r, err := c.reply(step, c.limit(step))
			if err == nil {
				err = c.take(t, next, r)
			}
			if err != nil {
				return err
			}
		}
	}
	if t.ready {
		return nil
	}
	if err := c.unasked(StepData); err != nil {
		return err
	}
	return c.confirm(t)
}

// say writes commands from the i-th on, one or a window full, and returns the
// index after the last. They are still to be flushed.
func (c *Client) say(i int, pipelining bool) (until int, err error) {
	if err := c.unasked(c.step(i)); err != nil {
		return i, err
	}
	c.onWrite = c.limit(c.step(i))
	for size := 0; i < len(c.batch.ends); i++ {
		line := c.batch.command(i)
		if size += len(line); size > len(line) && (!pipelining || size > window) {
			break
		}
		add(&c.log, "C: ", line[:len(line)-len("\r\n")])
		c.w.Write(line) // an error stays with the writer until Flush
	}
	return i, nil
}

// step is that of the i-th command.
func (c *Client) step(i int) Step {
	switch {
	case i < c.batch.mail:
		return StepReset
	case i == c.batch.mail:
		return StepMail
	case i == len(c.batch.ends)-1:
		return StepData
	}
	return StepRcpt
}

func (c *Client) limit(s Step) time.Duration {
	switch s {
	case StepReset:
		return c.timeouts.Reset
	case StepMail:
		return c.timeouts.Mail
	case StepRcpt:
		return c.timeouts.Rcpt
	}
	return c.timeouts.Data
}

// hopeless reports whether there is no use in saying the i-th command.
func (c *Client) hopeless(t *transaction, i int) bool {
	switch c.step(i) {
	case StepRcpt:
		return !t.res.MailReply.OK()
	case StepData:
		return t.accepted == 0
	}
	return false
}

// take notes the reply to the i-th command.
func (c *Client) take(t *transaction, i int, r Reply) error {
	step := c.step(i)
	proper := r.OK() || r.refused()
	switch step {
	case StepReset:
		if r.Code == 421 {
			return &Error{step, io.EOF} // as good as said
		}
		proper = r.OK()
	case StepMail:
		t.res.MailReply = r
		c.leftover = r.OK()
	case StepRcpt:
		r = tooMany(r, t.accepted)
		t.res.RcptReplies[i-c.batch.mail-1] = r
		if r.OK() && t.res.MailReply.OK() {
			t.accepted++
		}
	case StepData:
		t.ready = r.Code == 354
		t.counted = t.ready || ofData(r)
		proper = t.ready || r.refused()
		if !t.ready {
			t.res.DataReply = r
		}
	}
	if !proper {
		return &Error{step, malformed("unexpected reply %v", r)}
	}
	return nil
}

// tooMany turns a 552 that means "too many recipients" into the 452 that it should
// have been (RFC 5321 section 4.5.3.1.10): one that says so, or one without a
// status after other recipients were accepted. A full mailbox stays 552.
func tooMany(r Reply, accepted int) Reply {
	if r.Code != 552 {
		return r
	}
	said := r.Enhanced[1] == 5 && r.Enhanced[2] == 3
	if said || r.Enhanced[0] == 0 && accepted > 0 {
		r.Code, r.Enhanced = 452, [3]int{4, 5, 3}
	}
	return r
}

// decline ends a DATA that was granted although no recipient was (RFC 2920 section
// 3.1): with nothing but the dot. What the peer answers does not matter. In LMTP there
// would be an answer for each of no recipients, so that nothing tells when it is over.
func (c *Client) decline() error {
	c.leftover = false
	if c.options.LMTP {
		c.Quit()
		return nil
	}
	_, err := c.command(StepDot, c.timeouts.Dot, ".")
	return err
}

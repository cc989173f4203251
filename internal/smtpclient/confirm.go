package smtpclient

import (
	"errors"
	"io"
)

// A reply too many in a dialogue, as some servers give to MAIL, makes each that
// follows look like the reply to the next command: the refusal of one recipient like
// that of another, who was accepted, or of DATA. A 354 proves that there was none, for
// nothing but DATA is answered by it.

// ofData reports whether a reply other than 354 can hardly be to a command before
// DATA: it says that there is no recipient, or that the order is wrong.
func ofData(r Reply) bool {
	return r.Code == 503 || r.Code == 554 && r.Enhanced == [3]int{5, 5, 1}
}

// confirm makes sure, when DATA was refused, that the replies were to the commands
// they were taken for, before a refusal of class 5 counts for good: it says RSET. If
// the reply to DATA is still to come, it comes now, and is none to RSET.
func (c *Client) confirm(t *transaction) error {
	if t.counted || t.res.DataReply.Code == 0 || !t.res.final() {
		return nil
	}
	r, err := c.command(StepReset, c.timeouts.Reset, "RSET")
	switch {
	case err == nil && r.OK():
		t.counted, c.leftover = true, false
		return nil
	case err == nil && r.Code == 421:
		err = &Error{StepReset, io.EOF} // as good as said
	case err == nil:
		return &Error{StepData, malformed("a reply too many: %v to RSET", r)}
	}
	if t.accepted > 0 || errors.Is(err, ErrProtocol) {
		return err
	}
	c.shut(err) // and what was said stands, as withhold has it
	return nil
}

// final reports whether a refusal is for good.
func (r *Result) final() bool {
	for i := range r.RcptReplies {
		if r.Reply(i).Code/100 == 5 {
			return true
		}
	}
	return false
}

// withhold takes back the refusals for good of a dialogue that broke before it was
// clear whom they were for. If nobody was accepted they are for everybody: a reply too
// many is a 250.
func (t *transaction) withhold() {
	if t.accepted == 0 {
		return
	}
	for i, r := range t.res.RcptReplies {
		if r.Code/100 == 5 {
			t.res.RcptReplies[i] = Reply{}
		}
	}
	t.res.DataReply = Reply{}
}

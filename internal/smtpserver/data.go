package smtpserver

import (
	"cmp"
	"errors"
	"log/slog"
)

// data serves DATA (RFC 5321 section 4.1.1.4).
func (c *Conn) data(arg string) {
	if bad := c.noData("DATA"); bad != nil {
		c.answer(*bad)
		return
	}
	if arg != "" {
		c.reply(501, "5.5.4", "Syntax: DATA")
		return
	}
	if bad := c.notReady(); bad != nil {
		c.answer(*bad)
		return
	}
	c.reply(354, "", "End data with <CR><LF>.<CR><LF>")
	c.awaitContent()
	c.receive(newDotFramer(c.wire.r))
}

// noData says why there is no content now.
func (c *Conn) noData(verb string) *answer {
	switch {
	case c.tx != nil && c.tx.chunks:
		return &answer{503, "5.5.1", "Error: " + verb + " after BDAT"}
	case c.tx == nil:
		return &answer{503, "5.5.1", "Error: need RCPT command"}
	case c.tx.recipients == 0:
		return &answer{554, "5.5.1", "Error: no valid recipients"}
	}
	return nil
}

// notReady says why the transaction wants no content.
func (c *Conn) notReady() *answer {
	tx, ok := c.tx.Transaction.(GatedTransaction)
	if !ok {
		return nil
	}
	err := tx.Ready(c.ctx)
	if err == nil {
		return nil
	}
	bad := c.answerFor(err, writeError())
	return &bad
}

// awaitContent starts the time for content.
func (c *Conn) awaitContent() {
	c.wire.await(cmp.Or(c.server.MinRate, 500))
}

// receive hands the content to the transaction and answers for it. It is the
// only place that says that a message was accepted.
func (c *Conn) receive(frame framer) {
	tx := c.tx.Transaction
	defer c.end() // not abort: it is for Data to end the transaction
	lenient, ok := tx.(LenientTransaction)
	body := &content{frame: frame, rules: rules{
		strict: !ok || !lenient.Lenient(),
		left:   c.server.maxSize(),
		max:    cmp.Or(c.server.MaxLine, 128<<10),
	}}
	queuedAs, err := tx.Data(c.ctx, body)
	if _, refused := body.refusal(); body.err == nil || refused {
		if err := frame.drain(); err != nil {
			body.err = err
		}
	}
	refusal, refused := body.refusal()
	switch {
	case errors.Is(body.err, errBroken):
	case refused:
		c.answer(refusal)
	case body.err != nil && !body.complete():
		c.lost(body.err)
	case err != nil:
		c.answer(c.answerFor(err, writeError()))
	case !body.complete():
		c.log(slog.LevelError, "handler accepted a message without reading it")
		c.answer(writeError())
	default:
		c.accepted(queuedAs)
	}
}

// accepted confirms a message, and forgives the errors before it.
func (c *Conn) accepted(queuedAs string) {
	c.errors, c.junk = 0, 0
	text := "Ok"
	if queuedAs != "" {
		text = "Ok: queued as " + queuedAs
	}
	c.reply(250, "2.0.0", text)
}

func writeError() answer { return answer{451, "4.3.0", "Error: queue file write error"} }

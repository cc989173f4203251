package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// parts are those of a message that postcat shows.
type parts struct{ envelope, header, body bool }

// postcat shows messages of the queue.
func postcat(ctx context.Context, c *call) error {
	found, ids, err := c.options("bc:dehoqv")
	if err != nil {
		return err
	}
	var show parts
	queued := false
	for _, o := range found {
		switch o.letter {
		case 'q':
			queued = true
		case 'e':
			show.envelope = true
		case 'h':
			show.header = true
		case 'b':
			show.body = true
		}
	}
	if !queued {
		return errors.New("there are no queue files to show: name messages of the queue with -q")
	}
	if show == (parts{}) {
		show = parts{true, true, true}
	}
	for _, id := range ids {
		if err := c.showParts(ctx, id, show); err != nil {
			return err
		}
	}
	return nil
}

// showParts shows one message. There are banners only if the envelope is asked
// for, so that header and body alone are the plain message.
func (c *call) showParts(ctx context.Context, id string, show parts) error {
	e, err := c.entry(ctx, id)
	if err != nil {
		return missing(id, err)
	}
	content, err := c.server.Queue().Content(ctx, id)
	if err != nil {
		return missing(id, err)
	}
	defer content.Close()
	banner := func(part string) {
		if show.envelope {
			fmt.Fprintf(c.stdout, "*** %s %s/%s ***\n", part, queueName(e), id)
		}
	}
	banner("ENVELOPE RECORDS")
	if show.envelope {
		showEnvelope(c.stdout, e)
	}
	banner("MESSAGE CONTENTS")
	if show.header || show.body {
		if err := copyLines(c.stdout, content, show); err != nil {
			return err
		}
	}
	banner("HEADER EXTRACTED")
	banner("MESSAGE FILE END")
	return nil
}

// missing says in Postfix's words that a message is not there.
func missing(id string, err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("open queue file %s: No such file or directory", id)
	}
	return err
}

// showEnvelope prints what a queue file of Postfix's would have as records, by
// the names it has there.
func showEnvelope(w io.Writer, e queue.Entry) {
	utf8 := 0
	if e.Envelope.SMTPUTF8 {
		utf8 = 1
	}
	const date = "Mon Jan _2 15:04:05 2006"
	fmt.Fprintf(w, "message_size: %15d %15d %15d %15d %15d %15d\n", e.Size, 0, len(e.Recipients), 0, e.Size, utf8)
	fmt.Fprintf(w, "message_arrival_time: %s\ncreate_time: %s\n", e.Arrived.Local().Format(date), e.Arrived.Local().Format(date))
	attribute := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "named_attribute: %s=%s\n", name, printable(value))
		}
	}
	attribute("log_ident", e.ID)
	attribute("envelope_id", e.Envelope.EnvID)
	attribute("ret_flags", map[transport.Ret]string{transport.RetFull: "1", transport.RetHdrs: "2"}[e.Envelope.Ret])
	fmt.Fprintf(w, "sender: %s\n", printable(e.Envelope.ReversePath))
	attribute("site", e.Origin.Site)
	attribute("sasl_username", e.Origin.Login)
	attribute("client_address", e.Origin.Client)
	attribute("helo_name", e.Origin.HELO)
	attribute("log_message_origin", string(e.Origin.Via))
	attribute("script", e.Origin.Script)
	for i, r := range e.Recipients {
		to := e.Envelope.Recipients[i]
		if to.Notify != 0 {
			attribute("notify_flags", fmt.Sprint(int(to.Notify)))
		}
		attribute("dsn_orig_rcpt", to.ORcpt)
		kind := "recipient"
		if r.State.Final() {
			kind = "done_recipient"
		}
		fmt.Fprintf(w, "original_recipient: %[1]s\n%[2]s: %[1]s\n", printable(r.Address), kind)
	}
}

// copyLines copies header, body or both, with the line ends of this system. The
// empty line between them is the body's.
func copyLines(w io.Writer, content io.Reader, show parts) error {
	in := bufio.NewReaderSize(content, 32<<10)
	header, start := true, true
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if line[len(line)-1] == '\r' { // perhaps half a line end
				line = line[:len(line)-1]
				_ = in.UnreadByte()
			}
		} else if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		text, ended := bytes.CutSuffix(line, []byte("\r\n"))
		header = header && !(start && ended && len(text) == 0)
		start = err == nil
		if header && show.header || !header && show.body {
			if ended {
				text = append(text, '\n')
			}
			if _, err := w.Write(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

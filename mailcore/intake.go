package mailcore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// maxHops is the number of Received fields at which a message is taken to be
// looping: with our own it would be at its 50th host, Postfix's hopcount_limit.
// RFC 5321 section 6.3 would have twice as many.
const maxHops = 49

// scriptField is what PHP's mail.add_x_header puts on top: a claim.
const scriptField = "X-PHP-Originating-Script"

// maxScript bounds what is kept of it, in octets.
const maxScript = 256

// submissionField carries the submission ID of our own sendmail command. It is
// between the two of us and does not leave.
const submissionField = "X-Panelmail-Submission"

// tlsRequiredField with the value "no" asks for delivery whatever a policy says of TLS
// (RFC 8689 section 5). It stays in the message.
const tlsRequiredField = "TLS-Required"

// store stamps the draft and puts it into the queue. When it returns without an
// error the message is on disk.
func (s *desk) store(ctx context.Context, d *draft, content io.Reader) (id string, err error) {
	defer d.close()
	m, content, err := s.stamp(ctx, d, content)
	if err != nil {
		return "", s.refusal(err)
	}
	id, err = s.queue.Enqueue(ctx, m, content)
	if err != nil {
		s.rewritten.giveBack(s.config.Forwarding.BouncesPerDay, d.authors)
		return "", s.refusal(err)
	}
	logAccepted(s.config.Log, id, d.origin)
	return id, nil
}

// stamp reads the header, checks it and makes the queue's message. Signatures are made
// while the content is read: whatever happens, d is to be closed. The copies for
// authors of rewritten addresses are counted: they are given back if it is not stored.
func (s *desk) stamp(ctx context.Context, d *draft, content io.Reader) (queue.Message, io.Reader, error) {
	if err := d.checkParameters(); err != nil {
		return queue.Message{}, nil, err
	}
	mode := rfc5322.Strict
	if d.ours || d.origin.Via == transport.ViaForward {
		mode = rfc5322.Lenient
	}
	d.body = bodies.Get().(*bufio.Reader)
	d.body.Reset(rfc5322.NewCleaner(d.bounded(content), mode))
	header, err := rfc5322.ReadHeader(d.body, rfc5322.Limits{})
	if err != nil {
		return queue.Message{}, nil, err
	}
	if header.Count("Received") >= maxHops {
		return queue.Message{}, nil, transport.Replyf(554, "5.4.6", "Error: too many hops")
	}
	if err := s.checkFrom(ctx, d.writer, header); err != nil {
		return queue.Message{}, nil, err
	}
	now := time.Now()
	id := queue.NewID(now)
	head, added := s.received(d, id, now), []byte(nil)
	if d.envelope.Body == "" {
		// Peers without 8BITMIME are judged by what the content is, so saying
		// that it may be 8-bit costs nothing and is never wrong.
		d.envelope.Body = transport.Body8BitMIME
	}
	d.envelope.TLSOptional = !d.envelope.RequireTLS &&
		header.Count(tlsRequiredField) == 1 && word(header.Get(tlsRequiredField)) == "no"
	header.Del("Return-Path")
	if d.ours {
		if d.origin.Script == "" {
			d.origin.Script = plainText(header.Get(scriptField), maxScript)
		}
		d.once(header)
		header.Del("Bcc")
		header.Del("Resent-Bcc")
		header.Del(submissionField)
		added = rfc5322.Missing(header, author(d), now, id, s.config.Hostname)
		head = append(head, added...)
	}
	m := queue.Message{
		ID:          id,
		Envelope:    d.envelope,
		Origin:      d.origin,
		Priority:    s.priority(d, header),
		NotBefore:   d.request.notBefore,
		Lifetime:    d.request.lifetime,
		Key:         d.request.key,
		Fingerprint: d.request.fingerprint,
		Head:        func() ([]byte, error) { return head, nil },
	}
	signed, err := s.sign(ctx, d, &m, header, added, io.MultiReader(bytes.NewReader(header.Bytes()), d.body))
	if err == nil && !s.rewritten.take(s.config.Forwarding.BouncesPerDay, d.authors) {
		err = tooManyBounces(d.first)
	}
	return m, signed, err
}

var bodies = sync.Pool{New: func() any { return new(bufio.Reader) }}

// close ends what stamp has begun: nothing is read any more.
func (d *draft) close() {
	d.signing.stop()
	if d.body != nil {
		d.body.Reset(nil)
		bodies.Put(d.body)
		d.body = nil
	}
}

// checkParameters checks what RFC 3461 lets a submitter say, whichever way it
// came: a peer would refuse the message for it after we had taken it.
func (d *draft) checkParameters() error {
	e := d.envelope
	if len(e.EnvID) > 100 || plainText(e.EnvID, 100) != e.EnvID {
		return transport.Replyf(501, "5.5.4", "ENVID is not up to 100 printable ASCII characters")
	}
	if e.Ret != "" && e.Ret != transport.RetFull && e.Ret != transport.RetHdrs {
		return transport.Replyf(501, "5.5.4", "RET is neither FULL nor HDRS")
	}
	for _, r := range e.Recipients {
		if r.Notify > transport.NotifyNever && r.Notify&transport.NotifyNever != 0 {
			return transport.Replyf(501, "5.5.4", "NOTIFY=NEVER stands alone")
		}
	}
	return nil
}

// plainText is s cut to an octet limit, without anything but printable ASCII: for
// claims that end up on terminals.
func plainText(s string, limit int) string {
	printable := func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}
	s = strings.Map(printable, s)
	return s[:min(len(s), limit)]
}

// author is the address for a From field that is missing: never one that a
// rewriting made. The zero Address is the mail system itself.
func author(d *draft) address.Address {
	a, err := address.Parse(d.envelope.ReversePath)
	if err != nil || isRewritten(a.Local) {
		return address.Address{}
	}
	return a
}

// received is the trace field for the draft (RFC 5321 section 4.4).
func (s *desk) received(d *draft, id string, now time.Time) []byte {
	hop := rfc5322.Hop{
		By:     s.config.Hostname,
		With:   d.protocol,
		ID:     id,
		TLS:    d.tls,
		Time:   now,
		UID:    d.origin.UID,
		HasUID: d.origin.UID >= 0,
	}
	if d.given == 1 {
		hop.For = d.first // and not where an alias leads
	}
	if !s.config.HideClient || d.origin.Login == "" {
		hop.HELO, hop.Client = d.origin.HELO, d.origin.Client
	}
	if s.config.ShowLogin && d.origin.Via == transport.ViaSMTP {
		hop.Login = d.origin.Login
	}
	return rfc5322.Received(hop)
}

// refusal turns an error of the desk or the queue into the reply the submitter
// gets. What is not a reply is our own trouble: it defers, and the detail goes to
// the log alone.
func (s *desk) refusal(err error) error {
	var reply transport.Reply
	switch {
	case errors.As(err, &reply):
		return reply
	case errors.Is(err, rfc5322.ErrBareLF), errors.Is(err, rfc5322.ErrBareCR), errors.Is(err, rfc5322.ErrNUL):
		return transport.Replyf(550, "5.5.2", "Error: bare <CR>, <LF> or NUL received")
	case errors.Is(err, rfc5322.ErrTooLarge), errors.Is(err, rfc5322.ErrTooManyFields):
		return transport.Replyf(552, "5.3.4", "Error: message header too big")
	case errors.Is(err, queue.ErrInvalid):
		return transport.Replyf(554, "5.5.4", "%v", err)
	case errors.Is(err, queue.ErrKeyReused):
		return fmt.Errorf("%w: %w", transport.Replyf(554, "5.5.0", "this key belongs to another message"), err)
	case errors.Is(err, queue.ErrSiteGone):
		return transport.Replyf(550, "5.7.1", "the site was removed: it may not send")
	case errors.Is(err, queue.ErrFull):
		s.config.Log.Error("no room to store a message", "error", err)
		return transport.Replyf(452, "4.3.1", "Insufficient system storage")
	}
	var other interface {
		SMTPReply() (int, [3]int, string)
	}
	if errors.As(err, &other) {
		return err
	}
	s.config.Log.Error("a message could not be stored", "error", err)
	return fmt.Errorf("%w: %w", transport.Replyf(451, "4.3.0", "Error: queue file write error"), err)
}

package mailcore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// Submit stores a message of the panel's own or of one of its sites. When it
// returns without an error the message is on disk.
//
// A refusal is a [transport.Reply], found with [errors.As]: class 5 if the
// message is at fault, class 4 if a later try may work. [queue.ErrKeyReused] is in
// it if the message's Key belongs to another. ctx bounds the wait for
// the disk. Submit may be called from many goroutines, before and while Run
// runs.
func (s *Server) Submit(ctx context.Context, m Message) (id string, err error) {
	desk := s.current()
	d, err := desk.draft(ctx, m)
	if err != nil {
		return "", fmt.Errorf("mailcore: submit: %w", err)
	}
	if id, err = desk.store(ctx, d, desk.bounded(m.Content)); err != nil {
		return "", fmt.Errorf("mailcore: submit: %w", err)
	}
	return id, nil
}

// SubmitTx is Submit inside the caller's transaction on the same database: the
// message exists if and when tx commits. It must be the first statement of tx,
// or tx must have begun immediate; the content is bounded to the queue's limit
// for transactions, 1 MiB. Call [Server.Wake] after the commit to have it leave
// at once. See queue.EnqueueTx for what it needs.
func (s *Server) SubmitTx(ctx context.Context, tx *sql.Tx, m Message) (id string, err error) {
	desk := s.current()
	d, err := desk.draft(ctx, m)
	if err != nil {
		return "", fmt.Errorf("mailcore: submit: %w", err)
	}
	defer d.close()
	stored, content, err := desk.stamp(ctx, d, desk.bounded(m.Content))
	if err != nil {
		return "", fmt.Errorf("mailcore: submit: %w", desk.refusal(err))
	}
	if id, err = s.queue.EnqueueTx(ctx, tx, stored, content); err != nil {
		s.rewritten.giveBack(desk.config.Forwarding.BouncesPerDay, d.authors)
		return "", fmt.Errorf("mailcore: submit: %w", err)
	}
	return id, nil
}

// Wake has the queue look for messages that a transaction of the caller's
// brought.
func (s *Server) Wake() { s.queue.Wake() }

// draft checks the envelope of m as it is checked for any other way in.
func (s *desk) draft(ctx context.Context, m Message) (*draft, error) {
	d, problems := draftOf(&m, transport.ViaAPI)
	d.ours = true
	if m.Site != "" {
		d.writer = writer{site: m.Site}
	}
	if err := s.siteMaySend(ctx, m.Site, d.envelope.ReversePath); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, s.address(ctx, d, &m, "")...)
	return d, errors.Join(problems...)
}

// draftOf is a draft of m without recipients, and what is wrong with m by itself.
func draftOf(m *Message, via transport.Via) (d *draft, problems []error) {
	d = &draft{protocol: "API", request: requestOf(m)}
	d.envelope = transport.Envelope{EnvID: m.EnvID, Ret: m.Ret}
	d.origin = transport.Origin{Via: via, Site: m.Site, Login: m.Login, Script: m.Script, UID: -1}
	if m.Content == nil {
		problems = append(problems, transport.Replyf(554, "5.6.0", "no content"))
	}
	if m.ReversePath != "" {
		a, err := address.Parse(m.ReversePath)
		if err != nil {
			problems = append(problems, transport.Replyf(553, "5.1.7", "reverse-path %q: %v", m.ReversePath, err))
		} else {
			d.envelope.ReversePath = a.String()
			d.envelope.SMTPUTF8 = a.NeedsUTF8()
		}
	}
	return d, problems
}

// address gives a draft the recipients of m, and returns all that is wrong with them.
func (s *desk) address(ctx context.Context, d *draft, m *Message, orcpt string) (problems []error) {
	if len(m.Recipients) == 0 {
		problems = append(problems, transport.Replyf(554, "5.5.1", "no recipients"))
	}
	if len(m.Recipients) > s.config.Recipients {
		problems = append(problems, transport.Replyf(552, "5.5.3", "%d recipients, the limit is %d", len(m.Recipients), s.config.Recipients))
	}
	for _, to := range m.Recipients {
		a, err := s.recipient(ctx, d, to, true)
		if err == nil {
			err = d.add(to, a, m.Notify, orcpt)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

package mailcore

import (
	"context"
	"os"
	"strings"

	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/transport"
)

// RelayForms are the forms that OpenRelays tries.
func RelayForms(local, remote string) []string {
	return (&relayProbe{local: local, remote: remote}).forms()
}

// LoadUnchecked puts restrictions in force as a loader would that has no eye for open
// relays.
func (s *Server) LoadUnchecked(r Restrictions) error {
	next := *s.current()
	var err error
	if next.policy, err = r.policy(); err != nil {
		return err
	}
	s.desk.Store(&next)
	return nil
}

// SendLocally hands in a message as the sendmail command of the panel's own user does.
func (s *Server) SendLocally(ctx context.Context, from, to, content string) error {
	who, err := s.current().localSubmitter(ctx, os.Geteuid())
	if err != nil {
		return err
	}
	d, err := s.current().localDraft(ctx, who, transport.Envelope{ReversePath: from})
	if err != nil {
		return err
	}
	t := &transaction{desk: s.current(), draft: d, relay: true}
	if err := t.Rcpt(ctx, to, smtpserver.RcptParams{}); err != nil {
		return err
	}
	_, err = t.Data(ctx, strings.NewReader(content))
	return err
}

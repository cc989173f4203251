package mailcore

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// maildropEvery is how often the maildrop is looked at. It fills only while
// sendmail cannot reach us.
const maildropEvery = 10 * time.Second

// AddSite adds a site, and gives its uids their directories in the maildrop, so
// that their programs can send mail while no server runs. Only root can make
// those of other uids. Sites added through [Server.Sites] get theirs within ten
// seconds while the server runs.
func (s *Server) AddSite(ctx context.Context, site sites.Site) error {
	if err := s.sites.AddSite(ctx, site); err != nil {
		return err
	}
	if s.current().config.Maildrop == "" {
		return nil
	}
	return makeMaildrops(maildrop.Box{Dir: s.current().config.Maildrop}, site.UIDs)
}

// drainMaildrop takes what sendmail left while no server ran, at once and then
// from time to time, until ctx is done.
func (s *Server) drainMaildrop(ctx context.Context) error {
	box := maildrop.Box{Dir: s.current().config.Maildrop}
	ticker := time.NewTicker(maildropEvery)
	defer ticker.Stop()
	revision := int64(-1)
	for {
		revision = s.completeMaildrops(ctx, box, revision)
		for more := true; more; {
			taken, err := box.Take(ctx, s.current().takeDrop)
			if err != nil && ctx.Err() == nil {
				s.current().config.Log.Error("a message in the maildrop was not taken", "error", err)
			}
			more = taken > 0 && ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// completeMaildrops makes the directories that are missing, if the settings have
// changed since a revision; it returns the revision that is complete.
func (s *Server) completeMaildrops(ctx context.Context, box maildrop.Box, since int64) int64 {
	settings, err := s.sites.Current(ctx)
	if err != nil || settings.Revision() == since {
		return since
	}
	all, err := s.sites.ListSites(ctx)
	if err != nil {
		return since
	}
	uids := []int{os.Geteuid()}
	for _, site := range all {
		uids = append(uids, site.UIDs...)
	}
	if err := makeMaildrops(box, uids); err != nil {
		s.current().config.Log.Error("a maildrop directory could not be made", "error", err)
	}
	return settings.Revision()
}

// makeMaildrops makes the directories of those uids that we can make one for.
func makeMaildrops(box maildrop.Box, uids []int) (err error) {
	for _, uid := range uids {
		if self := os.Geteuid(); self == 0 || self == uid {
			err = errors.Join(err, box.Create(uid, os.Getegid()))
		}
	}
	return err
}

// takeDrop stores a message from the maildrop. Its submitter was told that it
// was accepted, so unknown recipients are for delivery to bounce; but who may not
// send under this reverse-path may not do so by way of a file either.
func (s *desk) takeDrop(ctx context.Context, d maildrop.Drop, content io.Reader) error {
	who, err := s.localSubmitter(ctx, d.UID)
	if err != nil {
		return refused(err)
	}
	draft, err := s.localDraft(ctx, who, transport.Envelope{
		ReversePath: d.From, Ret: transport.Ret(d.Ret), EnvID: d.EnvID,
	})
	if err != nil {
		return refused(err)
	}
	for _, to := range d.To {
		a, err := s.dropRecipient(ctx, draft, to)
		if err == nil {
			err = draft.add(to, a, parseNotify(d.Notify), "")
		}
		if err != nil {
			return refused(err)
		}
	}
	_, err = s.store(ctx, draft, s.bounded(content))
	return refused(err)
}

// dropRecipient is recipient for a message that was accepted already: who is
// refused is stored all the same, and so is an alias that runs in a circle, for
// the message would wait in the maildrop for as long as that stands. What
// cannot be told now is asked again later.
func (s *desk) dropRecipient(ctx context.Context, d *draft, to string) (acceptance, error) {
	taken, err := s.recipient(ctx, d, to, true)
	var reply transport.Reply
	if err == nil || !errors.Is(err, errExpansion) && (!errors.As(err, &reply) || reply.Code/100 == 4) {
		return taken, err
	}
	a, syntax := address.Parse(to)
	if syntax != nil {
		return acceptance{}, err
	}
	return acceptance{recipients: []transport.Recipient{{Address: a.String()}}}, nil
}

// parseNotify reads a NOTIFY parameter (RFC 3461 section 4.1). Words it does not
// know count for nothing.
func parseNotify(value string) (n transport.Notify) {
	for word := range strings.SplitSeq(value, ",") {
		switch strings.ToUpper(word) {
		case "NEVER":
			n |= transport.NotifyNever
		case "SUCCESS":
			n |= transport.NotifySuccess
		case "FAILURE":
			n |= transport.NotifyFailure
		case "DELAY":
			n |= transport.NotifyDelay
		}
	}
	return n
}

// refused marks an error that no later try can mend.
func refused(err error) error {
	var reply transport.Reply
	if errors.As(err, &reply) && reply.Code/100 == 5 {
		return errors.Join(maildrop.ErrRefused, err)
	}
	return err
}

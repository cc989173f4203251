package mailcore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

const (
	keeperPause = 5 * time.Minute // between two looks whether settings have changed
	keeperMost  = time.Hour       // until the database is asked whether another process has made keys
	keeperPage  = 100             // keys looked after in one go
	keeperAsks  = 8               // at once
)

// A publisher asks authoritative servers; [transport.DNS] is one.
type publisher interface {
	Published(ctx context.Context, questions ...transport.DNSQuestion) ([]transport.Publication, error)
}

// A recursive publisher asks the recursive server as well.
type recursive interface {
	Resolved(ctx context.Context, questions ...transport.DNSQuestion) ([]transport.Publication, error)
}

// keepKeys looks after the keys for signing until ctx is done.
func (s *Server) keepKeys(ctx context.Context) {
	ticker := time.NewTicker(keeperPause)
	defer ticker.Stop()
	next, known := time.Time{}, int64(-1) // what the last look left
	for {
		revision := s.sites.Snapshot().Revision()
		if now := time.Now(); revision != known || !now.Before(next) {
			if err := s.KeepKeys(ctx); err != nil && ctx.Err() == nil {
				s.current().config.Log.Error("DKIM keys were not looked after", "error", err)
			}
			known, next = revision, now.Add(keeperMost)
			if due, err := s.sites.NextDKIM(ctx); err == nil && !due.IsZero() && due.Before(next) {
				next = due
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// KeepKeys looks after the keys for signing that are due: it asks the authoritative
// servers of the domains for their records, takes them on in their lives, and replaces
// those whose time has come. It goes on with what is left for five minutes at most. Run
// does so all the time; who does not Run calls this every few minutes.
func (s *Server) KeepKeys(ctx context.Context) error {
	var signed []string
	for began := time.Now(); ; {
		due, err := s.sites.DueDKIM(ctx, keeperPage)
		if err != nil || len(due) == 0 {
			return err
		}
		if signed == nil {
			if signed, err = s.queue.Signed(ctx); err != nil {
				return err
			}
		}
		if err := s.keepPage(ctx, due, signed); err != nil {
			return err
		}
		if len(due) < keeperPage || time.Since(began) >= keeperPause {
			return nil
		}
	}
}

// keepPage looks after keys, several at once.
func (s *Server) keepPage(ctx context.Context, due []sites.DKIMKey, signed []string) error {
	var group errgroup.Group
	group.SetLimit(keeperAsks)
	for _, k := range due {
		group.Go(func() error {
			err := s.keepKey(ctx, k, signed)
			if errors.Is(err, sites.ErrNotFound) {
				return nil // removed meanwhile
			}
			return err
		})
	}
	return group.Wait()
}

// keepKey looks after one key.
func (s *Server) keepKey(ctx context.Context, k sites.DKIMKey, signed []string) error {
	_, err := s.lookAfter(ctx, k, signed, k.State == sites.DKIMStopped)
	if err != nil {
		return err
	}
	if k.Rotate.IsZero() || time.Now().Before(k.Rotate) {
		return nil
	}
	made, err := s.sites.RotateDKIM(ctx, k.Domain)
	for _, next := range made {
		s.current().config.Log.Info("a DKIM key is to be published", "domain", next.Domain, "selector", next.Selector, "replaces", k.Selector)
	}
	if errors.Is(err, sites.ErrInUse) {
		return nil // its successor waits already, or for a selector
	}
	return err
}

// lookAfter looks for the record of a key, unless its life does not depend on it and
// nobody wants to know, and takes the key on.
func (s *Server) lookAfter(ctx context.Context, k sites.DKIMKey, signed []string, blind bool) (looked, error) {
	found := looked{}
	if k.Live() && !blind {
		found = s.look(ctx, k)
	}
	found.seen.InUse = slices.Contains(signed, strings.ToLower(k.Name))
	now, err := s.sites.AdvanceDKIM(ctx, k, found.seen)
	if err != nil {
		return found, err
	}
	if log := s.current().config.Log; now.State != k.State {
		if was := k.State; now.State == sites.DKIMPending {
			log.Warn("the record of a DKIM key is gone: nothing is signed with it", "domain", k.Domain, "selector", k.Selector, "was", was, "trouble", now.Trouble)
		} else {
			log.Info("a DKIM key goes on", "domain", k.Domain, "selector", k.Selector, "was", was, "state", now.State)
		}
	}
	found.key = now
	return found, nil
}

// looked is what was found of a key.
type looked struct {
	key      sites.DKIMKey
	seen     sites.DKIMSighting
	problems []string // one a server
}

// look asks all authoritative servers for the record of a key.
func (s *Server) look(ctx context.Context, k sites.DKIMKey) (found looked) {
	defer func() { found.seen.Trouble = strings.Join(found.problems, "; ") }()
	asks, ok := s.current().config.Resolver.(publisher)
	if !ok {
		found.seen.Mute = 1
		found.problems = []string{"the Resolver cannot ask authoritative servers"}
		return found
	}
	p, err := ask(ctx, asks, transport.DNSQuestion{Name: k.Name, Type: "TXT"})
	if err != nil {
		found.seen.Mute = 1
		found.problems = []string{err.Error()}
		return found
	}
	for _, a := range p.Leaves() {
		s.judge(ctx, k, a, &found)
	}
	found.seen.Wait = memory(p)
	if s := found.seen; k.State != sites.DKIMSigning || s.Bad > 0 && s.Good == 0 { // one that goes on signing waits for nobody
		found.seen.Wait = max(found.seen.Wait, nothing(ctx, asks, p))
	}
	return found
}

// ask asks all authoritative servers, or, if none can be found out, the recursive one.
func ask(ctx context.Context, asks publisher, q transport.DNSQuestion) (transport.Publication, error) {
	found, err := asks.Published(ctx, q)
	if err != nil {
		return transport.Publication{}, err
	}
	other, ok := asks.(recursive)
	if !ok || slices.ContainsFunc(found[0].Leaves(), func(a transport.ServerAnswer) bool { return a.Status != transport.StatusNoZone }) {
		return found[0], nil
	}
	resolved, err := other.Resolved(ctx, q)
	if err != nil || slices.ContainsFunc(resolved[0].Leaves(), func(a transport.ServerAnswer) bool { return a.Status.Trouble() }) {
		return found[0], nil
	}
	return resolved[0], nil
}

// judge counts what a server says.
func (s *Server) judge(ctx context.Context, k sites.DKIMKey, a transport.ServerAnswer, found *looked) {
	var texts []string
	ttl := time.Duration(0)
	for _, r := range a.Records {
		texts = append(texts, r.Text)
		ttl = max(ttl, time.Duration(r.TTL)*time.Second)
	}
	var wrong, err error
	if a.Status.Trouble() {
		err = errors.New(a.Detail)
	} else {
		wrong, err = s.sites.CheckDKIM(ctx, k, texts)
	}
	switch {
	case err != nil: // which says nothing of the record
		found.seen.Mute++
		wrong = err
	case wrong == nil:
		found.seen.Good++
		return
	default:
		found.seen.Bad++
		found.seen.Other = max(found.seen.Other, ttl)
	}
	problem := a.Name + ": " + wrong.Error()
	if a.Server != "" {
		problem = a.Server + " (" + a.Addr.String() + "), " + problem
	}
	found.problems = append(found.problems, problem)
}

// memory is how long anybody may remember what a name had when it was asked for.
func memory(p transport.Publication) (longest time.Duration) {
	for _, n := range p.Names {
		for _, a := range n.Answers {
			for _, r := range a.Records {
				longest = max(longest, time.Duration(r.TTL)*time.Second)
			}
		}
	}
	return longest
}

// nothing is how long anybody may remember that a name had nothing (RFC 2308
// section 5): the lesser of the TTL and the last number of the zone's SOA record.
func nothing(ctx context.Context, asks publisher, p transport.Publication) (longest time.Duration) {
	var questions []transport.DNSQuestion
	for _, n := range p.Names {
		q := transport.DNSQuestion{Name: n.Zone, Type: "SOA"}
		if n.Zone != "" && !slices.Contains(questions, q) { // names behind a CNAME may be in the same
			questions = append(questions, q)
		}
	}
	if len(questions) == 0 {
		return 0
	}
	zones, err := asks.Published(ctx, questions...)
	if err != nil {
		return 0
	}
	for _, zone := range zones {
		for _, a := range zone.Leaves() {
			for _, r := range a.Records {
				words := strings.Fields(r.Data)
				if len(words) != 7 {
					continue
				}
				if minimum, err := strconv.ParseUint(words[6], 10, 32); err == nil {
					longest = max(longest, time.Duration(min(uint64(r.TTL), minimum))*time.Second)
				}
			}
		}
	}
	return longest
}

package mailcore

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// A FromPolicy says which addresses our own submitters may write into the From
// field, over whatever way a message comes in: it is what readers see and what
// DKIM and DMARC are about. What other hosts send to us is not judged by it, nor is
// what the panel itself sends or a network that may relay.
//
// Every address counts that a reader might find in any From field, also in one that
// is malformed. A message that breaks the policy is refused with 553 5.7.1.
type FromPolicy string

const (
	// FromHosted lets a site use its own domains and those that are hosted
	// nowhere here, but no domain of another site. A web shop may then write in
	// the name of a customer, as many do.
	FromHosted FromPolicy = "hosted"

	// FromStrict lets a submitter write only what it may also use as
	// reverse-path.
	FromStrict FromPolicy = "strict"

	// FromOff looks at nothing.
	FromOff FromPolicy = "off"
)

func (p FromPolicy) check() error {
	switch p {
	case "", FromHosted, FromStrict, FromOff:
		return nil
	}
	return fmt.Errorf("FromPolicy %q is unknown: want hosted, strict or off", string(p))
}

// checkSubmitters checks what is about those who hand in mail.
func (c *Config) checkSubmitters() []error {
	problems := c.Guard.check()
	if err := c.FromPolicy.check(); err != nil {
		problems = append(problems, err)
	}
	if c.Realm != "" {
		if _, err := address.Parse("postmaster@" + c.Realm); err != nil {
			problems = append(problems, fmt.Errorf("the realm %q: %w", c.Realm, err))
		}
	}
	return problems
}

// A writer is who answers for what a message says of itself. The zero writer is
// nobody that we could hold to it: a stranger, or the panel.
type writer struct {
	site  string
	login string // if it authenticated
	self  string // the address at our host name that is a local user's own
}

// owns reports whether the writer may use an address as a reverse-path.
func (w writer) owns(settings *sites.Snapshot, addr string) bool {
	switch {
	case addr == w.self && addr != "":
		return true
	case w.login != "":
		return settings.LoginOwns(w.site, w.login, addr)
	}
	return settings.SiteOwns(w.site, addr)
}

// String names the writer in replies.
func (w writer) String() string {
	if w.login != "" {
		return "user " + w.login
	}
	return "site " + w.site
}

// checkFrom reports, as a reply, an address in From that is not the writer's.
func (s *desk) checkFrom(ctx context.Context, w writer, header *rfc5322.Header) error {
	if w == (writer{}) || s.config.FromPolicy == FromOff {
		return nil
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return lookupFailure("From", err)
	}
	for f := range header.Fields() {
		if !strings.EqualFold(f.Name(), "From") {
			continue
		}
		found := rfc5322.WrittenAddresses(f.Value())
		for _, a := range found {
			if !s.mayWrite(settings, w, a) {
				return transport.Replyf(553, "5.7.1", "<%s>: From address rejected: not owned by %v", legible(a, 320), w)
			}
		}
		if len(found) == 0 && s.config.FromPolicy == FromStrict {
			return transport.Replyf(553, "5.7.1", "From field rejected: no address in it")
		}
	}
	return nil
}

// mayWrite applies the policy to one address.
func (s *desk) mayWrite(settings *sites.Snapshot, w writer, addr string) bool {
	if s.config.FromPolicy == FromStrict {
		a, err := address.Parse(addr)
		return err == nil && w.owns(settings, a.String())
	}
	// Readers differ in what they take for a blank behind the domain.
	name := strings.TrimFunc(addr[strings.LastIndexByte(addr, '@')+1:], func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	domain, hosted := settings.Domain(name)
	return !hosted || domain.Site == w.site
}

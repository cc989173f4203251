package mailcore

import (
	"fmt"
	"time"

	"github.com/panelmail/panelmail/internal/address"
)

// Forwarding is what happens to the reverse-path of mail that an alias of ours, or
// [Server.Forward], sends on to another host.
//
// That host would see our address send under the name of the author's domain, and
// refuse that if the domain publishes SPF (RFC 7208). So such a copy leaves under a
// reverse-path in a domain of ours, which carries the author's (sender rewriting,
// SRS), and a bounce that comes back to it goes on to the author. Mail that stays
// here, that has the null reverse-path, or whose author's domain is hosted here, and
// not only relayed to hosts of its own, is not touched; nor is a field of the header,
// nor the reverse-path in the queue, to which our own reports go. A copy that leaves a
// day after it was taken or later, because it was scheduled, held or deferred, has its
// reverse-path made anew for each attempt: bounces find back for three weeks after the
// last one.
//
// SRS does not help with DMARC (RFC 7489): the domain of SPF is ours then, and not
// that of From. A forwarded copy passes DMARC by the author's DKIM signature alone,
// so by none if somebody on the way changes what is signed: the Subject, the body.
type Forwarding struct {
	// Domain is the domain of all rewritten reverse-paths: one whose mail comes
	// here, which may be of no site. Copies then leave from where its own mail does.
	// If empty, each is in the domain of the alias that sends it on, so that it
	// leaves from the source of that site; for what the host itself sends on it is
	// Hostname. SPF of the domain must name the addresses that mail leaves from.
	Domain string

	// Secrets are those of SRS. If nil, the rings kept in Sites.
	Secrets SecretRing

	// Rotation is for how long a secret kept in Sites signs before there is another:
	// a day or more. If zero, 30 days; if negative, for ever, and then an address is
	// good again 1,024 days after it was.
	Rotation time.Duration

	// AnySender takes mail to rewritten addresses from whoever writes. Otherwise
	// only what has the null reverse-path is taken, as bounces have.
	AnySender bool

	// BouncesPerDay is how many copies are taken for one author, at rewritten
	// addresses of ours; more are deferred, for they are likely to be an address
	// that somebody has found and writes to. A message that names several such
	// addresses of one author counts for each. If zero, 20; if negative, any number.
	BouncesPerDay int

	// WrongAddresses is how many rewritten addresses that we did not make a client
	// may try in a quarter of an hour; then it gets 450 for all. Networks that may
	// relay and logins may try any number, and so may all if it is negative. If
	// zero, 20.
	WrongAddresses int
}

// normalize folds Domain, and returns what is wrong.
func (f *Forwarding) normalize() error {
	if f.Rotation > 0 && f.Rotation < 24*time.Hour {
		return fmt.Errorf("Forwarding.Rotation is %v, want a day or more", f.Rotation)
	}
	if f.Domain == "" {
		return nil
	}
	domain, err := address.ParseDomain(f.Domain)
	if err != nil {
		return fmt.Errorf("Forwarding.Domain %q is no domain", f.Domain)
	}
	f.Domain = domain
	return nil
}

// withDefaults fills the zero fields.
func (f Forwarding) withDefaults() Forwarding {
	setDefault(&f.BouncesPerDay, 20)
	setDefault(&f.WrongAddresses, 20)
	setDefault(&f.Rotation, 30*24*time.Hour)
	return f
}

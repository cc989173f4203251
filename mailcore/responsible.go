package mailcore

import (
	"context"

	"github.com/panelmail/panelmail/internal/address"
)

// isRole reports whether a local part at our own host name is one that a person
// must read (RFC 5321 section 4.5.1, RFC 2142).
func isRole(local string) bool {
	switch local {
	case "postmaster", "root", "mailer-daemon", "abuse":
		return true
	}
	return false
}

// answersFor reports whether a is an address at which somebody must be reachable
// though no entry says who: the postmaster of each domain whose mail ends here,
// the roles at the host itself, and there whoever submits the message, for cron
// writes to its user.
func (x *expansion) answersFor(p place, a address.Address) bool {
	local := a.Fold().Local
	switch p {
	case atHost:
		return isRole(local) || x.toSubmitter(local)
	case hosted, aliased:
		return local == "postmaster"
	}
	return false
}

// toSubmitter reports whether mail for a name at the host itself is for the site
// that submits it: root, as cron jobs of a panel have it, or its own user.
func (x *expansion) toSubmitter(local string) bool {
	if !x.relay || x.draft.origin.Site == "" {
		return false
	}
	return local == "root" || x.draft.self != "" && local == x.draft.self
}

// responsible takes mail for such an address: for the contact of the site, else for
// the postmaster of the configuration, else it is held at our host name until a
// person reads it. It is taken even if the address has an entry that is disabled.
func (x *expansion) responsible(ctx context.Context, a address.Address, p place) error {
	key, name := a.Fold(), ""
	switch d, _ := x.settings.Domain(key.Domain); {
	case p != atHost:
		name = d.Site
	case x.toSubmitter(key.Local):
		name = x.draft.origin.Site
	}
	site, _ := x.settings.Site(name)
	x.path[key] = true
	defer delete(x.path, key)
	defer x.sendOnFrom(a, p)()
	for _, text := range []string{site.Contact, x.desk.config.Postmaster} {
		to, err := address.Parse(text) // a contact may be any text
		if err != nil || to.Domain == "" || x.path[to.Fold()] {
			continue
		}
		before := len(x.recipients)
		if err := x.expand(ctx, to); err != nil {
			return err
		}
		if len(x.recipients) > before || x.taken[to.Fold()] {
			return nil
		}
	}
	if postmaster, err := address.Parse(x.desk.config.Postmaster); err == nil {
		return x.take(ctx, postmaster, nil)
	}
	if p == atHost && isRole(key.Local) {
		return x.take(ctx, a, nil)
	}
	return x.take(ctx, address.Address{Local: "postmaster", Domain: x.desk.config.Hostname}, nil)
}

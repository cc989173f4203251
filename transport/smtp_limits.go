package transport

import (
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// spent reports whether a session is over after the transactions it has had: by our
// own limits, by those that the peer has declared (RFC 9422), or because the peer
// has said so.
func (x *session) spent() bool {
	return x.uses >= maxUses || x.limits.Mails > 0 && x.uses >= x.limits.Mails ||
		time.Since(x.opened) >= maxAge || !x.client.Reusable()
}

// fit divides recipients of a delivery into those whom the next transaction of this
// session may have, and the others. If it may have none, the session is of no use
// for them.
func (x *session) fit(d *Delivery, all []int) (now, later []int) {
	most := len(all)
	for _, limit := range []int{x.limits.Rcpts, x.most} {
		if limit > 0 {
			most = min(most, limit)
		}
	}
	if x.limits.RcptDomains == 0 {
		return all[:most:most], all[most:]
	}
	for _, i := range all {
		domain := foldedDomain(d.Envelope.Recipients[i].Address)
		known := slices.Contains(x.domains, domain)
		if len(now) == most || !known && len(x.domains) >= x.limits.RcptDomains {
			later = append(later, i)
			continue
		}
		if !known {
			x.domains = append(x.domains, domain)
		}
		now = append(now, i)
	}
	return now, later
}

func foldedDomain(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// another reports whether a recipient was refused because the transaction had enough of
// them (RFC 5321 section 4.5.3.1.10), so that another may have it. A full disk has a
// status of its own.
func another(r smtpclient.Reply) bool {
	return r.Code == 452 && (r.Enhanced[0] == 0 || r.Enhanced == [3]int{4, 5, 3})
}

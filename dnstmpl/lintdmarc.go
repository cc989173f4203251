package dnstmpl

import (
	"slices"
	"strconv"
	"strings"
)

// dmarc checks a DMARC record of the zone (RFC 7489 section 6.3).
func (l *linter) dmarc(rec Record, text string) {
	list, ok := tags("DMARC", text)
	if !ok {
		l.add(RuleDMARC, rec.String(), "", "the DMARC record of %s is no list of tags, or has one twice", rec.Name)
		return
	}
	domain := strings.TrimPrefix(rec.Name, "_dmarc.")
	first, _, _ := strings.Cut(strings.TrimLeft(text, " \t"), ";")
	if strings.ReplaceAll(first, " ", "") != "v=DMARC1" {
		l.add(RuleDMARC, rec.String(), "v=DMARC1; p=…", "receivers know a DMARC record by v=DMARC1, in capitals")
	}
	policies := []string{"none", "quarantine", "reject"}
	if p, there := list["p"]; !there || !slices.Contains(policies, strings.ToLower(p)) {
		l.add(RuleDMARC, rec.String(), "p=none, p=quarantine or p=reject", "the DMARC record of %s has no policy that anybody knows", rec.Name)
	}
	if sp, there := list["sp"]; there && !slices.Contains(policies, strings.ToLower(sp)) {
		l.add(RuleDMARC, rec.String(), "sp=none, sp=quarantine or sp=reject", "sp=%s is no policy", sp)
	}
	for _, tag := range []string{"aspf", "adkim"} {
		if v, there := list[tag]; there && !strings.EqualFold(v, "r") && !strings.EqualFold(v, "s") {
			l.add(RuleDMARC, rec.String(), tag+"=r or "+tag+"=s", "%s=%s says neither relaxed nor strict", tag, v)
		}
	}
	if pct, there := list["pct"]; there {
		if n, err := strconv.Atoi(pct); err != nil || n < 0 || n > 100 {
			l.add(RuleDMARC, rec.String(), "pct=0 to pct=100", "pct=%s is no percentage", pct)
		}
	}
	for _, tag := range []string{"rua", "ruf"} {
		l.reports(rec, domain, tag, list[tag])
	}
	l.alignment(rec, domain, strings.ToLower(list["p"]))
}

// strayPolicy says of a text where DMARC is looked for that it is something else.
func (l *linter) strayPolicy(rec Record) {
	if strings.HasPrefix(rec.Name, "_dmarc.") {
		l.add(RuleDMARC, rec.String(), "v=DMARC1; and then the policy", "the text of %s does not begin with v=DMARC1: it is no DMARC record", rec.Name)
	}
}

// reports checks where reports go. Another domain must say that it wants them
// (RFC 7489 section 7.1).
func (l *linter) reports(rec Record, domain, tag, uris string) {
	for uri := range strings.SplitSeq(uris, ",") {
		uri = strings.TrimSpace(uri)
		if uri == "" {
			continue
		}
		scheme, rest, _ := strings.Cut(uri, ":")
		address, _, _ := strings.Cut(rest, "!") // and a size
		_, host, isAddress := strings.Cut(address, "@")
		if !strings.EqualFold(scheme, "mailto") || !isAddress {
			l.add(RuleDMARC, rec.String(), tag+"=mailto:address", "%s=%s is no address that reports are sent to", tag, uri)
			continue
		}
		host = strings.ToLower(host) + "."
		if related(host, domain) || l.world.resolver == nil {
			continue
		}
		permit := domain + "_report._dmarc." + host
		texts, err := orNone(l.world.resolver.Text(l.ctx, strings.TrimSuffix(permit, ".")))
		switch {
		case err != nil:
			l.unanswered(permit, err)
		case !slices.ContainsFunc(texts, func(s string) bool { return hasVersion(s, "v=DMARC1", "; \t") }):
			l.add(RuleDMARC, rec.String(), "a TXT record v=DMARC1 at "+permit, "no reports are sent to %s: its domain does not say that it wants those of %s", uri, domain)
		}
	}
}

// related reports whether one of two domains is the other, or below it.
func related(a, b string) bool { return within(a, b) || within(b, a) }

// alignment says where mail passes SPF and DMARC does not see it: SPF counts if the
// reverse-path is in the domain of From, DKIM if the signature is (RFC 7489 section 3.1).
func (l *linter) alignment(rec Record, domain, policy string) {
	if domain != l.data.Domain()+"." {
		return
	}
	signs := slices.ContainsFunc(l.data.DKIM, func(k DKIM) bool {
		return !k.Pending && strings.HasSuffix(k.Name, "._domainkey."+l.data.Domain())
	})
	if signs {
		return
	}
	for _, r := range l.data.Relays {
		s, known := KnownService(r.Host)
		if r.OwnReversePath || known && s.OwnReversePath && len(r.Include) == 0 {
			l.add(RuleAlignment, rec.String(), "a DKIM key, and let it be seen before",
				"mail through %s has a reverse-path in the domain of the provider, and no key of %s signs: it fails DMARC", r.Host, domain)
		}
	}
	if policy == "quarantine" || policy == "reject" {
		l.add(RuleAlignment, rec.String(), "p=none until a DKIM key signs",
			"no DKIM key of %s signs yet: whatever is forwarded fails DMARC, and p=%s throws it away", domain, policy)
	}
}

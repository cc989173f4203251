package dnstmpl

import (
	"fmt"
	"strings"
)

// together checks records against one another. from says where each comes from.
func together(z Zone, from []source) Problems {
	c := company{zone: z, from: from, aliases: map[string]int{}, subtrees: map[string]int{}}
	c.sets()
	c.singles()
	c.apexAndAliases()
	for i, r := range z.Records {
		c.beside(i, r)
		c.below(i, r)
		c.host(i, r)
	}
	return c.problems
}

// A company is records that have to bear one another.
type company struct {
	zone     Zone
	from     []source       // of each record
	aliases  map[string]int // the CNAME record of a name
	subtrees map[string]int // the DNAME record of a name
	problems Problems
}

// add reports a problem of record i.
func (c *company) add(i int, rule Rule, fix, format string, args ...any) {
	bad := fault{0, rule, fmt.Sprintf(format, args...), fix}
	c.problems = append(c.problems, bad.problem(c.from[i].at, c.from[i].line))
}

// line is the line of record i.
func (c *company) line(i int) int { return c.from[i].at.line }

// sets checks that the records of one name and type have one TTL (RFC 2181 section
// 5.2).
func (c *company) sets() {
	first := map[[2]string]int{}
	for i, r := range c.zone.Records {
		set := [2]string{r.Name, r.Type()}
		j, ok := first[set]
		if !ok {
			first[set] = i
			continue
		}
		if ttl := c.zone.Records[j].TTL; ttl != r.TTL {
			c.add(i, RuleTTL, fmt.Sprintf("%d in all of them", ttl),
				"the %s records of %s have different TTLs, %d in line %d and %d here", r.Type(), r.Name, ttl, c.line(j), r.TTL)
		}
	}
}

// singles checks what may be at a name once. The same record twice is a mistake in
// the template too, though one of them would be left of it.
func (c *company) singles() {
	first := map[[2]string]int{}
	for i, r := range c.zone.Records {
		kind := onlyOne(r)
		if kind == "" {
			continue
		}
		if j, ok := first[[2]string{r.Name, kind}]; ok {
			c.add(i, RuleDuplicate, "one record that says what both say",
				"a second %s record at %s, after line %d: with two of them neither counts", kind, r.Name, c.line(j))
			continue
		}
		first[[2]string{r.Name, kind}] = i
	}
}

// apexAndAliases finds the aliases, and checks where they are.
func (c *company) apexAndAliases() {
	for i, r := range c.zone.Records {
		switch r.Value.(type) {
		case DNAME:
			c.subtrees[r.Name] = i
		case CNAME:
			j, ok := c.aliases[r.Name]
			if ok && c.zone.Records[j].Value != r.Value {
				c.add(i, RuleCNAME, "one of them", "a second CNAME record at %s, after line %d", r.Name, c.line(j))
				continue
			}
			c.aliases[r.Name] = i
			if r.Name == c.zone.Name {
				c.add(i, RuleCNAME, "A and AAAA records", "an alias at the apex %s: SOA and NS are there already", r.Name)
			}
		}
	}
}

// beside checks that a record is not where an alias is (RFC 1034 section 3.6.2).
func (c *company) beside(i int, r Record) {
	if j, ok := c.aliases[r.Name]; ok && r.Type() != "CNAME" {
		c.add(i, RuleCNAME, "either the alias or the other records",
			"%s is an alias in line %d: no other data may be beside it", r.Name, c.line(j))
	}
}

// below checks that a record is not below a DNAME (RFC 6672 section 2.4).
func (c *company) below(i int, r Record) {
	for name := r.Name; name != c.zone.Name; {
		_, parent, found := strings.Cut(name, ".")
		if !found {
			return
		}
		if j, ok := c.subtrees[parent]; ok {
			c.add(i, RuleCNAME, "it at the place that "+parent+" leads to",
				"%s is below %s, which is an alias with everything below it in line %d", r.Name, parent, c.line(j))
			return
		}
		name = parent
	}
}

// host checks that a host that must have addresses is no alias (RFC 2181 section
// 10.3, RFC 2782).
func (c *company) host(i int, r Record) {
	host := hostOf(r)
	if j, ok := c.aliases[host]; ok && host != "" {
		c.add(i, RuleCNAME, c.zone.Records[j].Value.String(),
			"the host %s is an alias in line %d, and %s wants a host with addresses", host, c.line(j), r.Type())
	}
}

// onlyOne says of which kind a record is if a second one of the same kind at the
// same name makes both worthless; "" for others.
func onlyOne(r Record) string {
	switch v := r.Value.(type) {
	case SOA:
		return "SOA"
	case DNAME:
		return "DNAME"
	case TXT:
		return textKind(r.Name, v.Text)
	}
	return ""
}

// textKind names the use of a TXT record that may be there once; "" for others.
func textKind(owner, text string) string {
	label, rest, _ := strings.Cut(owner, ".")
	switch {
	case hasVersion(text, "v=spf1", " "):
		return "SPF" // RFC 7208 section 4.5
	case label == "_dmarc" && isDMARC(text):
		return "DMARC" // RFC 7489 section 6.6.3
	case label == "_mta-sts" && hasVersion(text, "v=STSv1", "; \t"):
		return "MTA-STS" // RFC 8461 section 3.1
	case label == "_smtp" && strings.HasPrefix(rest, "_tls.") && hasVersion(text, "v=TLSRPTv1", "; \t"):
		return "TLS-RPT" // RFC 8460 section 3
	case strings.HasPrefix(rest, "_domainkey.") && isKey(text):
		return "DKIM" // RFC 6376 section 3.6.2.2
	}
	return ""
}

// isDMARC reports whether text is a DMARC record: blanks may be around the equals sign
// of its version (RFC 7489 section 6.4).
func isDMARC(text string) bool {
	name, value, _ := strings.Cut(text, "=")
	return strings.EqualFold(strings.Trim(name, " \t"), "v") && hasVersion(strings.TrimLeft(value, " \t"), "DMARC1", "; \t")
}

// isKey reports whether text is a DKIM key record, or was meant for one (RFC 6376 section
// 3.6.1): other text is there by a wildcard, and nobody's key.
func isKey(text string) bool {
	if hasVersion(text, "v=DKIM1", "; \t") {
		return true
	}
	for part := range strings.SplitSeq(text, ";") {
		if name, _, ok := strings.Cut(part, "="); ok && strings.Trim(name, " \t\r\n") == "p" {
			return true
		}
	}
	return false
}

// hasVersion reports whether text begins with a version tag, and then ends or goes on
// with one of the characters of next.
func hasVersion(text, version, next string) bool {
	if len(text) < len(version) || !strings.EqualFold(text[:len(version)], version) {
		return false
	}
	return len(text) == len(version) || strings.IndexByte(next, text[len(version)]) >= 0
}

// hostOf is the host in a record that may not be an alias; "" if there is none.
func hostOf(r Record) string {
	switch v := r.Value.(type) {
	case MX:
		return v.Host
	case NS:
		return v.Host
	case SRV:
		return v.Target
	}
	return ""
}

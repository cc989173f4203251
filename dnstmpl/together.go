package dnstmpl

import (
	"fmt"
	"strings"
)

// together checks records against one another. from says where each comes from.
func together(z Zone, from []source) Problems {
	var problems Problems
	add := func(i int, rule Rule, fix, format string, args ...any) {
		problems = append(problems, from[i].problem(rule, fmt.Sprintf(format, args...), fix))
	}
	first := map[string]int{}      // by owner
	sets := map[[2]string]int{}    // by owner and type
	singles := map[[2]string]int{} // by owner and kind of text
	alias := map[string]int{}
	for i, r := range z.Records {
		typ := r.Type()
		if _, ok := first[r.Name]; !ok {
			first[r.Name] = i
		}
		if j, ok := sets[[2]string{r.Name, typ}]; !ok {
			sets[[2]string{r.Name, typ}] = i
		} else if ttl := z.Records[j].TTL; ttl != r.TTL {
			add(i, RuleTTL, fmt.Sprintf("%d in all of them", ttl), "the records %s %s have different TTLs, %d in line %d and %d here", r.Name, typ, ttl, from[j].at.line, r.TTL)
		}
		if kind := onlyOne(r); kind != "" {
			key := [2]string{r.Name, kind}
			if j, ok := singles[key]; ok {
				add(i, RuleDuplicate, "one record that says what both say", "a second %s record at %s, after line %d: with two of them neither counts", kind, r.Name, from[j].at.line)
			}
			singles[key] = i
		}
		if typ == "CNAME" {
			if r.Name == z.Name {
				add(i, RuleCNAME, "A and AAAA records", "an alias at the apex %s: SOA and NS are there already", r.Name)
			}
			if j, ok := alias[r.Name]; ok && z.Records[j] != r {
				add(i, RuleCNAME, "one of them", "a second CNAME record at %s, after line %d", r.Name, from[j].at.line)
			} else {
				alias[r.Name] = i
			}
		}
	}
	for i, r := range z.Records {
		if j, ok := alias[r.Name]; ok && r.Type() != "CNAME" {
			add(i, RuleCNAME, "either the alias or the other records", "%s is an alias in line %d: no other data may be beside it", r.Name, from[j].at.line)
		}
		host := hostOf(r)
		if j, ok := alias[host]; ok {
			add(i, RuleCNAME, strings.TrimSuffix(z.Records[j].Value.String(), ".")+".", "the host %s is an alias in line %d, where an %s record needs a host with addresses (RFC 2181 section 10.3)", host, from[j].at.line, r.Type())
		}
	}
	return problems
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
	case label == "_dmarc" && hasVersion(text, "v=DMARC1", "; \t"):
		return "DMARC" // RFC 7489 section 6.6.3
	case label == "_mta-sts" && hasVersion(text, "v=STSv1", "; \t"):
		return "MTA-STS" // RFC 8461 section 3.1
	case label == "_smtp" && strings.HasPrefix(rest, "_tls.") && hasVersion(text, "v=TLSRPTv1", "; \t"):
		return "TLS-RPT" // RFC 8460 section 3
	case strings.HasPrefix(rest, "_domainkey."):
		return "DKIM" // RFC 6376 section 3.6.2.2
	}
	return ""
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

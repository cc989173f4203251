package dnstmpl

import (
	"fmt"
	"slices"
	"strings"
)

// A reader makes records of lines. zone is absolute and in lower case.
type reader struct {
	zone     string
	provider Provider
}

// line reads one record. class says of which class it is; a line that is blank or
// only a comment gives class "".
func (r reader) line(line string) (rec Record, class string, bad *fault) {
	line = strings.TrimSuffix(line, "\r")
	if strings.Trim(line, " \t") == "" || line[0] == ';' {
		return Record{}, "", nil
	}
	if bad := directive(line); bad != nil {
		return Record{}, "", bad
	}
	list, comment, bad := fields(line)
	if bad != nil || len(list) == 0 {
		return Record{}, "", bad
	}
	if rec.Name, bad = r.owner(list[0]); bad != nil {
		return Record{}, "", bad
	}
	if bad := r.complete(line, list); bad != nil {
		return Record{}, "", bad
	}
	if rec.TTL, bad = r.ttl(list[1]); bad != nil {
		return Record{}, "", bad
	}
	class = strings.ToUpper(list[2].text)
	if bad := r.permitted(list[3]); bad != nil {
		return Record{}, "", bad
	}
	v := values{typ: strings.ToUpper(list[3].text), at: list[3], list: list[4:], comment: comment}
	if rec.Value, bad = v.read(); bad != nil {
		return Record{}, "", bad
	}
	return rec, class, r.fits(rec, list[0])
}

// directive refuses what is no record at all.
func directive(line string) *fault {
	switch line[0] {
	case '$':
		word, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		return &fault{0, RuleDirective, fmt.Sprintf("%.20s is a directive: a template makes records only", word), "every record on a line of its own, with its whole name and its TTL"}
	case ' ', '\t':
		return &fault{0, RuleLine, "the line begins with a blank: it would belong to the name of the line before", "the record's name at the beginning of the line"}
	}
	return nil
}

// complete checks that TTL, class, type and data are there, in this order.
func (r reader) complete(line string, list []field) *fault {
	is := func(i int, what func(string) bool) bool {
		return i < len(list) && !list[i].quoted && what(list[i].text)
	}
	name := list[0].text
	end := field{offset: len(line)}
	switch {
	case len(list) == 1:
		return missing(end, "TTL, class, type and data are", name, "3600 IN type data", nil)
	case is(1, isClass) && is(2, startsWithDigit):
		bad := missing(list[1], "", name, list[2].raw+" "+list[1].raw, list[3:])
		bad.rule, bad.text = RuleLine, "the class stands in front of the TTL"
		return bad
	case is(1, isClass):
		return missing(list[1], "the TTL is", name, "3600", list[1:])
	case is(1, knownType):
		return missing(list[1], "TTL and class are", name, "3600 IN", list[1:])
	case len(list) == 2:
		return missing(end, "class, type and data are", name, list[1].raw+" IN type data", nil)
	case is(2, knownType):
		return missing(list[2], "the class is", name, list[1].raw+" IN", list[2:])
	case !is(2, isClass):
		return &fault{list[2].offset, RuleClass, fmt.Sprintf("%.20q is no class", list[2].text), "IN"}
	case len(list) == 3:
		return missing(end, "type and data are", name, list[1].raw+" "+list[2].raw+" type data", nil)
	}
	return nil
}

// missing says what is missing at a field, and writes the line as it should be: the
// name, what is put in, and the rest.
func missing(at field, what, name, put string, rest []field) *fault {
	words := []string{name, put}
	for _, f := range rest {
		words = append(words, f.raw)
	}
	return &fault{at.offset, RuleMissing, what + " missing", strings.Join(words, " ")}
}

func isClass(s string) bool {
	return strings.EqualFold(s, "IN") || strings.EqualFold(s, "HS") || strings.EqualFold(s, "CH")
}

func (r reader) ttl(f field) (uint32, *fault) {
	high := uint64(r.provider.MaxTTL)
	if high == 0 {
		high = MaxTTL
	}
	n, ok := decimal(f.text, 64)
	switch {
	case !ok && startsWithDigit(f.text) && strings.Trim(f.text, "0123456789") == "":
		n, ok = high+1, true // more digits than a number has
	case !ok:
		return 0, &fault{f.offset, RuleTTL, fmt.Sprintf("the TTL %.20q is no number", f.text), "seconds, such as 3600 for an hour"}
	}
	if n < uint64(r.provider.MinTTL) || n > high {
		return 0, &fault{f.offset, RuleTTL, fmt.Sprintf("the TTL %.20s is out of range", f.text), fmt.Sprintf("seconds from %d to %d", r.provider.MinTTL, high)}
	}
	return uint32(n), nil
}

// permitted checks that the type is one we know and the provider takes.
func (r reader) permitted(f field) *fault {
	types := r.provider.Types
	if len(types) == 0 {
		types = DefaultTypes()
	}
	is := func(t string) bool { return strings.EqualFold(t, f.text) }
	switch {
	case is("A6"):
		return &fault{f.offset, RuleType, "A6 is historic (RFC 6563)", "AAAA"}
	case is("SPF"):
		return &fault{f.offset, RuleType, "records of type SPF are looked at by nobody (RFC 7208 section 3.1)", "TXT"}
	case !knownType(f.text):
		return &fault{f.offset, RuleType, fmt.Sprintf("the type %.20q is not known", f.text), "one of " + strings.Join(types, " ")}
	case !slices.ContainsFunc(types, is):
		return &fault{f.offset, RuleType, fmt.Sprintf("the provider does not take records of type %s", f.text), "one of " + strings.Join(types, " ")}
	}
	return nil
}

// owner checks the name that a record is at.
func (r reader) owner(f field) (string, *fault) {
	switch {
	case f.quoted:
		return "", &fault{f.offset, RuleName, "the name is in quotes", "it without them"}
	case f.text == "@":
		return "", &fault{f.offset, RuleFinalDot, "@ means nothing here", r.zone}
	}
	name, absolute := strings.CutSuffix(f.text, ".")
	if text, fix := nameProblem(name, ownerName); text != "" {
		return "", &fault{f.offset, RuleName, text, fix}
	}
	name = strings.ToLower(name) + "."
	if !absolute {
		fix := name
		if !within(name, r.zone) {
			fix = name + r.zone
		}
		return "", &fault{f.offset + len(f.text), RuleFinalDot, fmt.Sprintf("the name %q has no final dot", f.text), fix}
	}
	if !within(name, r.zone) {
		return "", &fault{f.offset, RuleOutside, fmt.Sprintf("%s is outside the zone %s", name, r.zone), fmt.Sprintf("a name that ends in .%s", r.zone)}
	}
	return name, nil
}

// fits checks what name and value have to do with one another.
func (r reader) fits(rec Record, owner field) *fault {
	name := strings.TrimSuffix(rec.Name, ".")
	switch v := rec.Value.(type) {
	case A, AAAA, MX:
		if text, _ := nameProblem(name, hostOwner); text != "" {
			return &fault{owner.offset, RuleName, text, "a name of letters, digits and hyphens, without underscores"}
		}
	case CNAME:
		if v.Target == rec.Name {
			return &fault{owner.offset, RuleCNAME, fmt.Sprintf("%s is an alias of itself", rec.Name), "another target"}
		}
	case SOA:
		if rec.Name != r.zone && r.zone != "." {
			return &fault{owner.offset, RuleName, "SOA belongs to the apex", r.zone}
		}
	}
	return nil
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

package dnstmpl

import (
	"fmt"
	"strings"
)

// Limits on the evaluation of SPF.
const (
	maxLookups     = 10 // RFC 7208 section 4.6.4
	maxVoidLookups = 2
	maxExchangers  = 10 // of one mx mechanism

	// enoughLookups ends the counting, in records that include one another.
	enoughLookups = 100
)

// spf checks an SPF record of the zone.
func (l *linter) spf(rec Record, text string) {
	terms, err := parseSPF(text)
	if err != nil {
		l.noSPF(rec, err)
		return
	}
	l.answerSize(rec)
	if l.helps(rec) {
		return
	}
	l.spfEnd(rec, terms)
	if rec.Name == l.data.Domain()+"." {
		l.egress(rec, terms)
	}
	l.evaluation(rec, terms)
}

// evaluation reports what makes receivers give up on an SPF record, however it is
// written.
func (l *linter) evaluation(rec Record, terms []spfTerm) {
	w := &spfWalk{linter: l, record: rec.String()}
	w.terms(rec.Name, terms)
	if w.lookups > maxLookups {
		l.add(RuleLookups, w.record, "fewer includes, or addresses in place of names",
			"the SPF record of %s takes %s look-ups, and with more than %d it counts for nothing (RFC 7208 section 4.6.4): %s",
			rec.Name, w.count(), maxLookups, strings.Join(w.costs, ", "))
	}
	if len(w.voids) > maxVoidLookups {
		l.add(RuleVoid, w.record, "only what exists",
			"the SPF record of %s asks for %d names that have no records, and with more than %d it counts for nothing (RFC 7208 section 4.6.4): %s",
			rec.Name, len(w.voids), maxVoidLookups, strings.Join(w.voids, ", "))
	}
}

// noSPF reports that a record is not in the form.
func (l *linter) noSPF(rec Record, err error) {
	l.add(RuleSPF, rec.String(), "", "the SPF record of %s counts for nothing: %v (RFC 7208 section 4.6)", rec.Name, err)
}

// helps reports whether a record is included by another one of the zone. What it says of
// everybody else is then nobody's concern.
func (l *linter) helps(rec Record) bool {
	for _, other := range l.world.zone.Records {
		v, ok := other.Value.(TXT)
		if !ok || other.Name == rec.Name || textKind(other.Name, v.Text) != "SPF" {
			continue
		}
		terms, err := parseSPF(v.Text)
		for _, t := range terms {
			if err == nil && t.name == "include" && strings.EqualFold(strings.TrimSuffix(t.domain, ".")+".", rec.Name) {
				return true
			}
		}
	}
	return false
}

// answerSize checks what the answer with an SPF record has beside it.
func (l *linter) answerSize(rec Record) {
	texts, _ := l.world.texts(rec.Name)
	size := len(rec.Name) - 1
	for _, text := range texts {
		size += len(text)
	}
	if size < maxAnswer {
		return
	}
	l.add(RuleAnswer, rec.String(), "less text, or parts of it in records that are included",
		"the TXT records of %s are %d octets with the name, and an answer with SPF should have less than %d, or it may not arrive (RFC 7208 section 3.4)",
		rec.Name, size, maxAnswer)
}

// spfEnd checks what a record says of those that it does not name.
func (l *linter) spfEnd(rec Record, terms []spfTerm) {
	last := len(terms)
	_, redirect := redirectOf(terms)
	for i, t := range terms {
		if !t.modifier && t.name == "all" && last == len(terms) {
			last = i
		}
		if wide(t) && t.qualifier == '+' {
			l.add(RuleSPFAll, rec.String(), "the addresses that mail leaves from", "%s lets a good part of the internet pass", t.network)
		}
	}
	const instead = "~all or -all at the end"
	switch {
	case last == len(terms) && !redirect:
		l.add(RuleSPFAll, rec.String(), instead, "the SPF record of %s says nothing of everybody else", rec.Name)
	case last == len(terms):
	case terms[last].qualifier == '+':
		l.add(RuleSPFAll, rec.String(), instead, "the SPF record of %s lets everybody pass", rec.Name)
	case terms[last].qualifier == '?':
		l.add(RuleSPFAll, rec.String(), instead, "the SPF record of %s is neutral about everybody else, which is as good as no record", rec.Name)
	}
	for _, t := range terms[min(last+1, len(terms)):] {
		if !t.modifier {
			l.add(RuleSPF, rec.String(), "it before all", "nobody looks at %s: it stands behind all", t.name)
		}
	}
}

// wide reports whether a network is more than any one organisation sends from.
func wide(t spfTerm) bool {
	if !t.network.IsValid() {
		return false
	}
	return t.network.Bits() < 8
}

// An spfWalk counts what an evaluation asks for, of somebody whom nothing lets pass.
type spfWalk struct {
	linter  *linter
	record  string // for problems
	lookups int
	partial bool     // there is more that is not known
	costs   []string // of the terms of the record itself
	voids   []string
	depth   int
}

// count is the number of look-ups, for people.
func (w *spfWalk) count() string {
	if w.partial {
		return fmt.Sprintf("at least %d", w.lookups)
	}
	return fmt.Sprint(w.lookups)
}

// terms walks the terms of the SPF record of a name.
func (w *spfWalk) terms(name string, terms []spfTerm) {
	for _, t := range terms {
		if t.modifier {
			continue
		}
		if t.name == "all" {
			break
		}
		w.term(name, t)
	}
	if redirect, ok := redirectOf(terms); ok {
		w.term(name, redirect)
	}
}

// term counts one term, and what is behind it.
func (w *spfWalk) term(name string, t spfTerm) {
	if t.name == "ip4" || t.name == "ip6" || w.lookups >= enoughLookups {
		return
	}
	before := w.lookups
	w.lookups++
	domain := t.domain
	if domain == "" {
		domain = name
	}
	if !strings.ContainsRune(domain, '%') { // a macro stands for something else with each message
		switch t.name {
		case "include", "redirect":
			w.include(t.name, domain)
		case "a":
			addrs, known, err := w.linter.world.addrs(w.linter.ctx, domain)
			w.void(domain, len(addrs), known, err)
		case "mx":
			w.mx(domain)
		case "exists":
			addrs, known, err := w.linter.world.addrs(w.linter.ctx, domain)
			w.void(domain, len(addrs), known, err)
		}
	}
	if w.depth == 0 {
		w.costs = append(w.costs, fmt.Sprintf("%s:%s %d", t.name, strings.TrimSuffix(domain, "."), w.lookups-before))
	}
}

// include walks the record of another name.
func (w *spfWalk) include(how, domain string) {
	texts, known, err := w.linter.world.spf(w.linter.ctx, domain)
	switch {
	case err != nil:
		w.linter.unanswered(domain, err)
		fallthrough
	case !known:
		w.partial = true
		return
	case len(texts) != 1:
		w.linter.add(RuleSPF, w.record, "a domain that has one", "%s:%s has %d SPF records where there must be one: the whole record counts for nothing (RFC 7208 section 5.2)",
			how, domain, len(texts))
		return
	}
	terms, err := parseSPF(texts[0])
	if err != nil {
		w.linter.add(RuleSPF, w.record, "", "the SPF record behind %s:%s counts for nothing, and so does this one: %v", how, domain, err)
		return
	}
	w.depth++
	w.terms(domain, terms)
	w.depth--
}

// mx checks an mx mechanism. The addresses of its hosts are not counted with the rest.
func (w *spfWalk) mx(domain string) {
	hosts, known, err := w.linter.world.exchangers(w.linter.ctx, domain)
	w.void(domain, len(hosts), known, err)
	if len(hosts) > maxExchangers {
		w.linter.add(RuleLookups, w.record, "addresses", "mx:%s has %d mail exchangers, and with more than %d the record counts for nothing (RFC 7208 section 4.6.4)",
			domain, len(hosts), maxExchangers)
	}
}

// void notes an answer without records.
func (w *spfWalk) void(name string, records int, known bool, err error) {
	switch {
	case err != nil:
		w.linter.unanswered(name, err)
	case known && records == 0:
		w.voids = append(w.voids, name)
	}
}

package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A Rule puts mail on hold: what everything that is set applies to, or all mail
// if nothing is. It is kept in the database.
type Rule struct {
	ID      int64         // given by AddRule; never given twice
	Site    string        // of the origin; the reports that a site caused are its mail
	Sender  string        // the envelope's reverse-path; "<>" is the null reverse-path
	Domain  string        // of the recipient's address
	Via     transport.Via // the way in
	Reason  string        // for people; printable, at most 255 octets
	Created time.Time     // set by AddRule
}

const (
	maxRules      = 10_000
	maxRuleReason = 255
)

// ErrNoRule says that no rule has the number.
var ErrNoRule = errors.New("queue: no such rule")

// AddRule adds a rule, for new mail and for the queue alike, and returns its
// number. Mail that matches is stored on hold from then on, by whichever process
// and in whose transaction ever. What is in the queue and matches is put on hold as
// by [Queue.Hold], step by step, before AddRule returns. The reason for hold names
// the rule.
//
// A rule is asked when mail is stored, when the rule is made, and when mail is
// requeued; what a person releases stays released. There may be 10,000 rules.
//
// If there is an error with a number, the rule is in force for new mail, and some
// of the queue may not be on hold: delete the rule and add it again.
func (q *Queue) AddRule(ctx context.Context, r Rule) (id int64, err error) {
	if err := r.check(); err != nil {
		return 0, fmt.Errorf("queue: rule: %w", err)
	}
	r.Created = time.Now()
	r.Sender, r.Domain = foldASCII(r.Sender), foldASCII(r.Domain)
	if r.ID, err = q.store.addRule(ctx, r); err != nil {
		return 0, err
	}
	// The rule is committed: whatever is stored from here on was asked about, and
	// whatever was before is found now.
	_, err = q.apply(ctx, change{kind: changeHold, rule: &r, reason: r.hold()})
	return r.ID, err
}

// Rules lists the rules by number.
func (q *Queue) Rules(ctx context.Context) ([]Rule, error) { return q.store.rules(ctx) }

// DeleteRule ends a rule, or returns [ErrNoRule]. What it has put on hold stays
// there until a person releases it.
func (q *Queue) DeleteRule(ctx context.Context, id int64) error { return q.store.deleteRule(ctx, id) }

// check reports what is wrong with a rule.
func (r *Rule) check() error {
	var errs []error
	for _, text := range []string{r.Site, r.Sender, r.Domain, r.Reason} {
		if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			errs = append(errs, fmt.Errorf("control character in %q", text))
		}
	}
	if len(r.Reason) > maxRuleReason {
		errs = append(errs, fmt.Errorf("reason of %d octets: at most %d", len(r.Reason), maxRuleReason))
	}
	if strings.Contains(r.Domain, "@") {
		errs = append(errs, fmt.Errorf("%q is no domain", r.Domain))
	}
	switch r.Via {
	case "", transport.ViaAPI, transport.ViaSMTP, transport.ViaSendmail, transport.ViaForward, transport.ViaBounce:
	default:
		errs = append(errs, fmt.Errorf("no way in is called %q", r.Via))
	}
	return errors.Join(errs...)
}

// hold is the reason that recipients are held for.
func (r *Rule) hold() string {
	text := fmt.Sprintf("held by rule %d", r.ID)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// selection is what the rule selects in the queue. It must say the same as
// ruleSet.find.
func (r *Rule) selection() selection {
	s := everything()
	if r.Site != "" {
		s.site(r.Site)
	}
	if r.Sender != "" {
		s.sender(r.Sender)
	}
	if r.Domain != "" {
		s.domain(r.Domain)
	}
	if r.Via != "" {
		s.message.and(`m.via = ?`, string(r.Via))
	}
	return s
}

// nullSender is how the null reverse-path is written where "" is anybody.
const nullSender = "<>"

// A ruleSet finds the rule that a recipient falls under, at a cost that does not
// depend on the number of rules. It does not change.
type ruleSet struct {
	shapes []ruleShape // which parts the rules say something about
	rules  map[ruleKey]*Rule
	shut   map[string]siteState // see stateOf
}

// A ruleShape is which parts of a rule are set.
type ruleShape struct{ site, sender, domain, via bool }

// A ruleKey is a rule's parts; "" is not set.
type ruleKey struct {
	site, sender, domain string
	via                  transport.Via
}

func newRuleSet(all []Rule) *ruleSet {
	s := &ruleSet{rules: make(map[ruleKey]*Rule, len(all))}
	shapes := map[ruleShape]bool{}
	for i := range all {
		r := &all[i]
		key := ruleKey{r.Site, r.Sender, r.Domain, r.Via}
		if s.rules[key] == nil {
			s.rules[key] = r // the eldest of equal ones
		}
		if shape := r.shape(); !shapes[shape] {
			shapes[shape] = true
			s.shapes = append(s.shapes, shape)
		}
	}
	return s
}

func (s *ruleSet) empty() bool { return len(s.shapes) == 0 && len(s.shut) == 0 }

// find returns the eldest rule that applies, nil if none does.
func (s *ruleSet) find(site, reversePath string, via transport.Via, recipient string) (found *Rule) {
	sender := foldASCII(cmp.Or(reversePath, nullSender))
	domain := foldASCII(recipient[strings.LastIndexByte(recipient, '@')+1:])
	for _, shape := range s.shapes {
		var key ruleKey
		if shape.site {
			key.site = site
		}
		if shape.sender {
			key.sender = sender
		}
		if shape.domain {
			key.domain = domain
		}
		if shape.via {
			key.via = via
		}
		if r := s.rules[key]; r != nil && shape == r.shape() && (found == nil || r.ID < found.ID) {
			found = r
		}
	}
	return found
}

func (r *Rule) shape() ruleShape {
	return ruleShape{r.Site != "", r.Sender != "", r.Domain != "", r.Via != ""}
}

// foldASCII is what SQLite's lower() does.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

package restrict

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of [Parse].
const (
	MaxWords     = 1000    // of one list
	MaxTable     = 8 << 20 // octets of one table
	MaxLines     = 100_000 // of one table
	MaxLine      = 4096    // octets of one line of a table
	MaxSleep     = 30 * time.Second
	maxTableName = 64
)

// Parse reads lists and their tables. It reports everything that is wrong with them.
//
// A line of a table is a key, blanks, and an action; a line that begins with a blank
// continues the one before; empty lines and those that begin with # do not count. The
// keys and actions are those of access(5): see the package documentation for the
// differences.
func Parse(l Lists) (*Policy, error) {
	p := &parser{texts: l.Tables, tables: map[string]*table{}}
	for _, name := range slices.Sorted(maps.Keys(l.Tables)) {
		p.named(name)
	}
	var policy Policy
	for stage, text := range []string{l.Client, l.Helo, l.Sender, l.Relay, l.Recipient, l.Data} {
		list, err := p.list(text)
		if err != nil {
			p.complain("%v list: %w", Stage(stage), err)
		}
		if Stage(stage) == Data && slices.ContainsFunc(list, restriction.needsRecipient) {
			p.complain("data list: there may be many recipients at DATA: a restriction of the recipient has no place here")
		}
		policy.lists[stage] = list
	}
	if len(p.problems) > 0 {
		return nil, errors.Join(p.problems...)
	}
	return &policy, nil
}

// A parser reads one set of lists.
type parser struct {
	texts    map[string]string
	tables   map[string]*table // read, or nil while being read
	problems []error
}

func (p *parser) complain(format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf(format, args...))
}

// words splits a list.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })
}

// list reads restrictions. The error is the first that is wrong.
func (p *parser) list(text string) ([]restriction, error) {
	rest := words(text)
	if len(rest) > MaxWords {
		return nil, fmt.Errorf("more than %d words", MaxWords)
	}
	var all []restriction
	for len(rest) > 0 {
		x, left, err := p.restriction(rest)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, x), left
	}
	return all, nil
}

const warnIfReject = "warn_if_reject"

// restriction reads the first of a list, and returns the words behind it.
func (p *parser) restriction(all []string) (x restriction, rest []string, err error) {
	x.word, rest = current(strings.ToLower(all[0])), all[1:]
	if x.word == warnIfReject {
		if len(rest) == 0 || strings.EqualFold(rest[0], warnIfReject) {
			return x, nil, errors.New("warn_if_reject without a restriction behind it")
		}
		x, rest, err = p.restriction(rest)
		x.warn = true
		return x, rest, err
	}
	if x.apply = plain(x.word); x.apply != nil {
		return x, rest, nil
	}
	with := p.withArgument(x.word)
	switch {
	case with == nil:
		return x, nil, fmt.Errorf("%q is no restriction that is known here", all[0])
	case len(rest) == 0:
		return x, nil, fmt.Errorf("%s has no argument", x.word)
	}
	if err := with(&x, rest[0]); err != nil {
		return x, nil, fmt.Errorf("%s %s: %w", x.word, rest[0], err)
	}
	return x, rest[1:], nil
}

// current is the spelling of today for a word of earlier Postfixes.
func current(word string) string {
	switch word {
	case "reject_invalid_hostname":
		return "reject_invalid_helo_hostname"
	case "reject_non_fqdn_hostname":
		return "reject_non_fqdn_helo_hostname"
	case "reject_unknown_hostname":
		return "reject_unknown_helo_hostname"
	case "reject_unknown_client":
		return "reject_unknown_client_hostname"
	}
	return word
}

// withArgument is how the argument of a restriction is read; nil if the word has none.
func (p *parser) withArgument(word string) func(x *restriction, arg string) error {
	switch word {
	case "sleep":
		return sleep
	case "reject_rbl_client":
		return blockList(clientListed)
	case "reject_rhsbl_sender":
		return blockList(senderListed)
	case "check_client_access":
		return p.access(theClient)
	case "check_helo_access":
		return p.access(theHELO)
	case "check_sender_access":
		return p.access(theSender)
	case "check_recipient_access":
		return p.access(theRecipient)
	}
	return nil
}

// needsRecipient reports whether a restriction makes no sense without a recipient.
func (x restriction) needsRecipient() bool {
	switch x.word {
	case "permit_auth_destination", "reject_unauth_destination", "defer_unauth_destination",
		"reject_non_fqdn_recipient", "reject_unknown_recipient_domain", "check_recipient_access":
		return true
	}
	return false
}

// sleep reads a pause in seconds. It does not count for the budget.
func sleep(x *restriction, arg string) error {
	seconds, err := strconv.Atoi(arg)
	pause := time.Duration(seconds) * time.Second
	if err != nil || pause < 0 || pause > MaxSleep {
		return fmt.Errorf("want a number of seconds, %v at most", MaxSleep.Seconds())
	}
	x.apply = func(ctx context.Context, r *run) answer {
		if r.session.Hasty {
			return answer{}
		}
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
			r.until = r.until.Add(pause)
		case <-ctx.Done():
		}
		return answer{}
	}
	return nil
}

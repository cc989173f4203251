package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func ruleCommands() []command {
	return []command{
		{name: "queue rule add", args: "[--site S] [--sender A] [--domain D] [--via V] --reason TEXT", short: "hold what matches, new mail and queued; with no filter, all mail", run: ruleAdd},
		{name: "queue rule list", short: "the rules that hold mail", run: ruleList},
		{name: "queue rule delete", args: "ID", short: "end a rule; what it holds stays on hold", run: ruleDelete},
	}
}

// listedRule is a rule as printed.
type listedRule struct {
	ID      int64         `json:"id"`
	Site    string        `json:"site,omitempty"`
	Sender  string        `json:"sender,omitempty"`
	Domain  string        `json:"domain,omitempty"`
	Via     transport.Via `json:"via,omitempty"`
	Reason  string        `json:"reason"`
	Created int64         `json:"created,omitempty"`
}

func listedRuleOf(r queue.Rule) listedRule {
	l := listedRule{ID: r.ID, Site: r.Site, Sender: r.Sender, Domain: r.Domain, Via: r.Via, Reason: r.Reason}
	if !r.Created.IsZero() {
		l.Created = r.Created.Unix()
	}
	return l
}

// about is what a rule is about, as its options say it.
func (l listedRule) about() string {
	text := prefixed(" --site ", l.Site, "") + prefixed(" --sender ", l.Sender, "") +
		prefixed(" --domain ", l.Domain, "") + prefixed(" --via ", string(l.Via), "")
	return cmp.Or(strings.TrimPrefix(text, " "), "all mail")
}

func ruleAdd(ctx context.Context, c *call) error {
	var r queue.Rule
	_, err := c.parse(0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&r.Site, "site", "", "")
		fs.StringVar(&r.Sender, "sender", "", "")
		fs.StringVar(&r.Domain, "domain", "", "")
		fs.StringVar((*string)(&r.Via), "via", "", "")
		fs.StringVar(&r.Reason, "reason", "", "")
	})
	if err != nil {
		return err
	}
	if r.Reason == "" {
		return c.usage("a rule needs a --reason")
	}
	if r.ID, err = c.server.Queue().AddRule(ctx, r); err != nil {
		return err
	}
	return c.print(listedRuleOf(r), "rule %d holds %s\n", r.ID, listedRuleOf(r).about())
}

func ruleList(ctx context.Context, c *call) error {
	rules, err := c.server.Queue().Rules(ctx)
	if err != nil {
		return err
	}
	var rows []listedRule
	for _, r := range rules {
		rows = append(rows, listedRuleOf(r))
	}
	return table(c, rows, "no rules", "ID\tHOLDS\tREASON", func(l listedRule) []any {
		return []any{l.ID, printable(l.about()), printable(l.Reason)}
	})
}

func ruleDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return c.usage("%q is no number of a rule", words[0])
	}
	err = c.server.Queue().DeleteRule(ctx, id)
	if errors.Is(err, queue.ErrNoRule) {
		return fmt.Errorf("%d: %w", id, err)
	}
	if err != nil {
		return err
	}
	return c.print(listedRule{ID: id}, "rule %d deleted; what it holds stays on hold\n", id)
}

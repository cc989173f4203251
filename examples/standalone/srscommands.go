package main

import (
	"cmp"
	"context"
	"flag"
	"strings"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func srsCommands() []command {
	return []command{
		{name: "srs forward", args: "ADDRESS [--domain DOMAIN]", short: "the reverse-path that mail of a sender is sent on under", run: srsForward},
		{name: "srs reverse", args: "ADDRESS", short: "whom a rewritten address of ours stands for", run: srsReverse},
		{name: "srs rotate", args: "[--site S] [--forget]", short: "a new secret signs, for all or for one site; the old ones verify for 23 days more, unless they are to be forgotten", run: srsRotate},
		{name: "srs share", args: "SITE", short: "end the ring of a site: it shares that of all others", run: srsShare},
		{name: "srs list", short: "the secrets: whose, since when and until when; not what they are", run: srsList},
	}
}

// srsForward leaves alone what forwarding leaves alone.
func srsForward(ctx context.Context, c *call) error {
	var domain string
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) { fs.StringVar(&domain, "domain", "", "") })
	if err != nil {
		return err
	}
	rewritten := words[0]
	settings, err := c.server.Sites().Current(ctx)
	if err != nil {
		return err
	}
	if settings.SiteOf(words[0]) == "" {
		r, err := c.server.Rewriter(ctx, domain)
		if err != nil {
			return err
		}
		if rewritten, err = r.Forward(words[0]); err != nil {
			return err
		}
	}
	return c.print(map[string]string{"address": words[0], "rewritten": rewritten}, "%s\n", rewritten)
}

func srsReverse(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	domain := ""
	if at := strings.LastIndexByte(words[0], '@'); at >= 0 {
		domain = words[0][at+1:]
	}
	r, err := c.server.Rewriter(ctx, domain)
	if err != nil {
		return err
	}
	original, err := r.Reverse(words[0])
	if err != nil {
		return err
	}
	return c.print(map[string]string{"address": words[0], "original": original}, "%s\n", original)
}

func srsRotate(ctx context.Context, c *call) error {
	var site string
	var forget bool
	_, err := c.parse(0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&site, "site", "", "")
		fs.BoolVar(&forget, "forget", false, "")
	})
	if err != nil {
		return err
	}
	rotate, old := c.server.Sites().RotateSRS, "the old ones verify for 23 days more"
	if forget {
		rotate, old = c.server.Sites().ReplaceSRS, "the old ones are forgotten"
	}
	made, err := rotate(ctx, site)
	if err != nil {
		return err
	}
	return c.print(srsLineOf(made), "secret %d of %s signs; %s\n", made.ID, cmp.Or(site, "default"), old)
}

func srsShare(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().ShareSRS(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"site": words[0]}, "site %s shares the secrets of all others\n", words[0])
}

// An srsLine is a secret for --json.
type srsLine struct {
	ID       int64  `json:"id"`
	Site     string `json:"site,omitempty"`
	Created  int64  `json:"created"`
	Replaced int64  `json:"replaced,omitempty"`
	Until    int64  `json:"until,omitempty"`
}

func srsLineOf(r sites.SRSSecret) srsLine {
	l := srsLine{ID: r.ID, Site: r.Site, Created: r.Created.Unix()}
	if !r.Until.IsZero() {
		l.Replaced, l.Until = r.Replaced.Unix(), r.Until.Unix()
	}
	return l
}

func srsList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSRS(ctx)
	if err != nil {
		return err
	}
	lines := make([]srsLine, len(all))
	for i, r := range all {
		lines[i] = srsLineOf(r)
	}
	return table(c, lines, "no secrets", "RING\tID\tSINCE\tREPLACED\tVERIFIES UNTIL", func(l srsLine) []any {
		return []any{cmp.Or(l.Site, "default"), l.ID, dateOrDash(l.Created), dateOrDash(l.Replaced), dateOrDash(l.Until)}
	})
}

func dateOrDash(seconds int64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
}

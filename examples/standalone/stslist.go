package main

import (
	"context"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A keptPolicy is an MTA-STS policy as tls list --cached shows it.
type keptPolicy struct {
	Domain string `json:"domain"`
	ID     string `json:"id"`
	transport.STSPolicy
	Fetched time.Time `json:"fetched"`
	Expires time.Time `json:"expires"`
}

const stsPage = 500

func stsList(ctx context.Context, c *call) error {
	var all []keptPolicy
	for after := ""; ; after = all[len(all)-1].Domain {
		page, err := c.server.Sites().ListSTS(ctx, after, stsPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			all = append(all, keptPolicy{e.Domain, e.ID, e.Policy, e.Fetched.UTC(), e.Expires().UTC()})
		}
		if len(page) < stsPage {
			break
		}
	}
	return table(c, all, "no policies of other domains are kept", "DOMAIN\tMODE\tMX\tEXPIRES\tID", func(p keptPolicy) []any {
		return []any{p.Domain, p.Mode, strings.Join(p.MX, ","), p.Expires.Format(time.RFC3339), p.ID}
	})
}

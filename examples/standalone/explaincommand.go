package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

func explain(ctx context.Context, c *call) error {
	q := transport.Query{Origin: transport.Origin{Via: transport.ViaAPI, UID: -1}}
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) {
		fs.StringVar(&q.Origin.Site, "site", "", "")
		fs.StringVar(&q.Origin.Login, "login", "", "")
		fs.StringVar(&q.ID, "id", "", "")
	})
	if err != nil {
		return err
	}
	q.Sender, q.Recipient = words[0], words[1]
	if q.Sender == "<>" {
		q.Sender = ""
	}
	plan, err := c.server.Plan(ctx, q)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(plan)
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	var parts map[string]any
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s -> %s\n", words[0], words[1])
	rules := map[string]string{}
	for _, b := range plan.Because {
		rules[b.Part] = b.Rule
	}
	parts["helo"] = plan.Source.HELO
	if plan.Attempts == 0 {
		parts["attempts"] = "no limit"
	}
	if plan.Limit == 0 {
		parts["limit"] = "no limit"
	} else if plan.Initial < plan.Limit {
		parts["limit"] = fmt.Sprintf("%d, at first %d", plan.Limit, plan.Initial)
	}
	for _, part := range []string{"transport", "nexthop", "source", "helo", "tls", "credential", "attempts", "limit", "lane"} {
		value, ok := parts[part]
		if !ok && rules[part] == "" {
			continue
		}
		fmt.Fprintf(c.stdout, "  %-11s %-40s %s\n", part, plain(value), rules[part])
	}
	return nil
}

// plain is a value of the plan for people.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return cmp.Or(v, "-")
	case map[string]any:
		var parts []string
		for _, key := range []string{"name", "ipv4", "ipv6", "prefer"} {
			if v[key] != nil {
				parts = append(parts, fmt.Sprint(v[key]))
			}
		}
		return cmp.Or(strings.Join(parts, " "), "-")
	}
	return fmt.Sprint(v)
}

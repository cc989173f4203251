package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

func explain(ctx context.Context, c *call) error {
	q := transport.Query{Origin: transport.Origin{Via: transport.ViaAPI, UID: -1}}
	var dns bool
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) {
		fs.BoolVar(&dns, "dns", false, "")
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
	for i, b := range plan.Because {
		plan.Because[i].Rule = inFile(b.Rule)
	}
	explained := explained{Plan: plan}
	if dns && plan.Definition.Base == "smtp" {
		if explained.Hosts, err = c.server.Resolve(ctx, plan); err != nil {
			explained.Trouble = err.Error()
		}
	}
	if c.json {
		return c.object(explained)
	}
	fmt.Fprintf(c.stdout, "%s -> %s\n", words[0], words[1])
	if err := printPlan(c.stdout, plan); err != nil {
		return err
	}
	printHosts(c.stdout, explained)
	return nil
}

// An explained is a plan with what the DNS says of it now.
type explained struct {
	transport.Plan
	Hosts   []transport.Host `json:"hosts,omitempty"`
	Trouble string           `json:"trouble,omitempty"` // why there is none
}

// printHosts writes a line for each address that would be tried.
func printHosts(w io.Writer, e explained) {
	for _, h := range e.Hosts {
		fmt.Fprintf(w, "  %-11s %s at %s", "host", h.Name, h.Addr)
		if h.From != "" {
			fmt.Fprintf(w, " from %s", h.From)
		}
		if h.DANE != nil {
			fmt.Fprintf(w, ", %d TLSA records, DNSSEC %s", len(h.DANE.Records), orUnknown(string(h.DANE.Status)))
		}
		if h.STS != nil && h.STS.Mode != "" {
			fmt.Fprintf(w, ", MTA-STS %s", h.STS.Mode)
		}
		fmt.Fprintln(w)
	}
	if e.Trouble != "" {
		fmt.Fprintf(w, "  %-11s %s\n", "host", printable(e.Trouble))
	}
}

// printPlan writes a line for each part of a plan, with its rule.
func printPlan(w io.Writer, plan transport.Plan) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	var parts map[string]any
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	rules := map[string]string{}
	for _, b := range plan.Because {
		rules[b.Part] = b.Rule
	}
	if plan.Attempts == 0 {
		parts["attempts"] = "no limit"
	}
	if plan.Schedule == (transport.Schedule{}) {
		parts["schedule"] = "the queue's"
	} else {
		parts["schedule"] = fmt.Sprintf("from %v to %v, for %v", plan.Schedule.Min, plan.Schedule.Max, plan.Schedule.Lifetime)
	}
	if plan.Limit == 0 {
		parts["limit"] = "no limit"
	} else if plan.Initial < plan.Limit {
		parts["limit"] = fmt.Sprintf("%d, at first %d", plan.Limit, plan.Initial)
	}
	for _, part := range []string{"transport", "nexthop", "source", "helo", "tls", "credential", "attempts", "limit", "schedule", "lane"} {
		value, ok := parts[part]
		if !ok && rules[part] == "" {
			continue
		}
		fmt.Fprintf(w, "  %-11s %-40s %s\n", part, plain(value), rules[part])
	}
	return nil
}

// inFile is what a setting of the library is called in the configuration file.
func inFile(rule string) string {
	for field, key := range map[string]string{
		"Config.Hostname": "hostname", "Config.SmartHost": "delivery.smart_host",
		"Config.TLSLevel": "delivery.tls", "Config.Concurrency": "limits.destination_concurrency",
	} {
		rule = strings.ReplaceAll(rule, field, key)
	}
	return rule
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

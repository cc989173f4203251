package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func transportCommands() []command {
	return []command{
		{name: "transport list", short: "the transports that routes can name, and how they differ from their base", run: transportList},
		{name: "transport show", args: "NAME", short: "all about a transport", run: transportShow},
		{name: "transport set", args: "NAME [--base B] [--concurrency N] [--initial N] [--processes N] [--rate N/INTERVAL] [--rate-delay D] [--recipients N] [--cohorts N] [--attempts N] [--retry-min D] [--retry-max D] [--lifetime D] [--connect-timeout D] [--helo-timeout D] [--tls LEVEL]", short: "add or change a transport; what is not named stays, 0 is the default again", run: transportSet},
		{name: "transport delete", args: "NAME", short: "delete a transport; one that is built in becomes what it was", run: transportDelete},
	}
}

// An aspect is a setting of a transport, which has one name as a flag, in JSON (with
// "_" for "-") and for people.
type aspect struct {
	name string
	set  func(d *transport.Definition, value string) error
	get  func(d transport.Definition) any // a number, text or duration
}

func count(name string, field func(*transport.Definition) *int) aspect {
	return aspect{name, func(d *transport.Definition, value string) (err error) {
		*field(d), err = strconv.Atoi(value)
		return err
	}, func(d transport.Definition) any { return *field(&d) }}
}

func span(name string, field func(*transport.Definition) *time.Duration) aspect {
	return aspect{name, func(d *transport.Definition, value string) error {
		if value == "0" {
			value = "0s"
		}
		return (*duration)(field(d)).UnmarshalText([]byte(value))
	}, func(d transport.Definition) any { return duration(*field(&d)) }}
}

// aspects are what can be set, in the order in which it is shown.
func aspects() []aspect {
	return []aspect{
		count("concurrency", func(d *transport.Definition) *int { return &d.Limit }),
		count("initial", func(d *transport.Definition) *int { return &d.InitialConcurrency }),
		count("processes", func(d *transport.Definition) *int { return &d.Processes }),
		{"rate", setRate, func(d transport.Definition) any { return rate(d) }},
		span("rate-delay", func(d *transport.Definition) *time.Duration { return &d.RateDelay }),
		count("recipients", func(d *transport.Definition) *int { return &d.RecipientLimit }),
		count("cohorts", func(d *transport.Definition) *int { return &d.FailedCohortLimit }),
		count("attempts", func(d *transport.Definition) *int { return &d.Attempts }),
		span("retry-min", func(d *transport.Definition) *time.Duration { return &d.Schedule.Min }),
		span("retry-max", func(d *transport.Definition) *time.Duration { return &d.Schedule.Max }),
		span("lifetime", func(d *transport.Definition) *time.Duration { return &d.Schedule.Lifetime }),
		span("connect-timeout", func(d *transport.Definition) *time.Duration { return &d.ConnectTimeout }),
		span("helo-timeout", func(d *transport.Definition) *time.Duration { return &d.HELOTimeout }),
		{"tls", func(d *transport.Definition, value string) error {
			d.TLS = transport.TLSLevel(strings.TrimPrefix(value, "0"))
			return nil
		}, func(d transport.Definition) any { return string(d.TLS) }},
	}
}

// setRate reads deliveries in a time: "30/1m", or "30", a minute.
func setRate(d *transport.Definition, value string) error {
	number, interval, _ := strings.Cut(value, "/")
	var per duration
	n, err := strconv.Atoi(number)
	if interval != "" {
		err = errors.Join(err, per.UnmarshalText([]byte(interval)))
	}
	d.Rate, d.RateInterval = n, time.Duration(per)
	return err
}

func rate(d transport.Definition) string {
	if d.Rate == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%v", d.Rate, duration(cmp.Or(d.RateInterval, time.Minute)))
}

// differs are the aspects of a transport that are not the default, each as "name
// value".
func differs(d transport.Definition) (all []string) {
	for _, a := range aspects() {
		switch v := a.get(d); v {
		case 0, "", duration(0):
		default:
			all = append(all, fmt.Sprint(a.name, " ", v))
		}
	}
	return all
}

// transportObject is a transport for JSON. Durations are seconds.
func transportObject(d transport.Definition, own bool) map[string]any {
	object := map[string]any{"name": d.Name, "base": d.Base, "built_in": !own}
	for _, a := range aspects() {
		key := strings.ReplaceAll(a.name, "-", "_")
		switch v := a.get(d).(type) {
		case duration:
			object[key] = time.Duration(v).Seconds()
		default:
			object[key] = v
		}
	}
	return object
}

// transportsOf are all transports, and which of them were set.
func transportsOf(ctx context.Context, c *call) (all transport.Definitions, own map[string]bool, err error) {
	if all, err = c.server.Sites().Transports(ctx); err != nil {
		return nil, nil, err
	}
	set, err := c.server.Sites().ListTransports(ctx)
	own = map[string]bool{}
	for _, d := range set {
		own[d.Name] = true
	}
	return all, own, err
}

func transportList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, own, err := transportsOf(ctx, c)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(all))
	if c.json {
		for _, name := range names {
			if err := c.object(transportObject(all[name], own[name])); err != nil {
				return err
			}
		}
		return nil
	}
	return table(c, names, "", "TRANSPORT\tBASE\tORIGIN\tSETTINGS", func(name string) []any {
		origin := "built in"
		if own[name] {
			origin = "set"
		}
		return []any{name, all[name].Base, origin, strings.Join(differs(all[name]), ", ")}
	})
}

func transportShow(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	all, own, err := transportsOf(ctx, c)
	if err != nil {
		return err
	}
	d, ok := all[words[0]]
	if !ok {
		return fmt.Errorf("transport %q: %w", words[0], sites.ErrNotFound)
	}
	if c.json {
		return c.object(transportObject(d, own[d.Name]))
	}
	fmt.Fprintf(c.stdout, "transport %s\n  %-15s %s\n", d.Name, "base", d.Base)
	for _, a := range aspects() {
		value := fmt.Sprint(a.get(d))
		switch value {
		case "", "0", duration(0).String():
			value = "default"
		}
		fmt.Fprintf(c.stdout, "  %-15s %s\n", a.name, value)
	}
	return nil
}

func transportSet(ctx context.Context, c *call) error {
	var base string
	var changes []func(*transport.Definition) error
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&base, "base", "", "")
		for _, a := range aspects() {
			fs.Func(a.name, "", func(value string) error {
				changes = append(changes, func(d *transport.Definition) error { return a.set(d, value) })
				return a.set(new(transport.Definition), value)
			})
		}
	})
	if err != nil {
		return err
	}
	all, _, err := transportsOf(ctx, c)
	if err != nil {
		return err
	}
	d, ok := all[words[0]]
	if from, known := all[cmp.Or(base, "smtp")]; !ok || base != "" && from.Base != d.Base {
		if !known {
			return c.usage("there is no transport %q to make another of", base)
		}
		d = from
	}
	d.Name = words[0]
	for _, change := range changes {
		if err := change(&d); err != nil {
			return err
		}
	}
	if err := c.server.Sites().SetTransport(ctx, d); err != nil {
		return err
	}
	return c.print(transportObject(d, true), "transport %s: %s\n", d.Name, strings.Join(append([]string{d.Base}, differs(d)...), ", "))
}

func transportDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveTransport(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"name": words[0]}, "transport %s deleted\n", words[0])
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := benchmark(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	bench
	targets   []string
	workloads []workload
	json      bool
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	o := &options{}
	var targets string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := f.Int("rounds", 0, "how often each target is run with each workload, if not the workload's own number, mostly 5")
	messages := f.Int("messages", 0, "messages of one run, if not the workload's own number")
	timeout := f.Duration("timeout", 0, "limit of one run, if not the workload's own, mostly 2m; what has not arrived by then is lost")
	f.StringVar(&targets, "targets", "ceiling,postfix,postfix-tuned,panelmail", "what to measure, in this order")
	f.StringVar(&o.dir, "dir", os.TempDir(), "where servers keep their data; on a real disk")
	f.BoolVar(&o.pipelining, "pipelining", false, "the generator sends MAIL, RCPT and DATA together")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.targets = strings.Split(targets, ",")
	wanted := f.Args()
	if len(wanted) == 0 {
		wanted = []string{"P1", "P2", "P5", "P9"}
	}
	all := workloads(&o.bench)
	for _, name := range wanted {
		i := slices.IndexFunc(all, func(w workload) bool { return w.Name == name })
		if i < 0 {
			return o, fmt.Errorf("there is no workload %s", name)
		}
		w := all[i]
		w.Messages = cmp.Or(*messages, w.Messages)
		w.Rounds = cmp.Or(*rounds, w.Rounds, 5)
		w.timeout = cmp.Or(*timeout, w.timeout, 2*time.Minute)
		o.workloads = append(o.workloads, w)
	}
	return o, nil
}

// benchmark measures what the command line asks for.
func benchmark(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	if err := os.Chmod(o.dir, 0o755); err != nil { // Postfix's own users pass here
		return err
	}
	defer o.forget()
	targets, err := o.build()
	if err != nil {
		return err
	}
	r := report{Pipelining: o.pipelining}
	if r.Machine, err = examine(ctx, o.dir); err != nil {
		return err
	}
	if !o.json {
		r.print(out)
	}
	for _, w := range o.workloads {
		result, err := o.rotate(ctx, w.turns(targets), w, progress)
		if err != nil {
			return err
		}
		r.Results = append(r.Results, result)
		if !o.json {
			result.print(out)
		}
	}
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	return nil
}

// build makes the targets that were asked for.
func (o *options) build() ([]target, error) {
	var targets []target
	for _, name := range o.targets {
		switch name {
		case "ceiling":
			targets = append(targets, ceiling())
		case "postfix":
			targets = append(targets, postfix(name, nil))
		case "postfix-tuned":
			targets = append(targets, postfix(name, tuned()))
		case "panelmail":
			targets = append(targets, panelmail(&o.bench))
		default:
			return nil, fmt.Errorf("there is no target %s", name)
		}
	}
	return targets, nil
}

// turns are what a workload compares: its cases, or what happens to each target.
func (w workload) turns(targets []target) []scenario {
	if w.cases != nil {
		return w.cases
	}
	var turns []scenario
	for _, t := range targets {
		if t.name == "ceiling" && w.Held {
			continue // nothing is accepted by a destination that is held
		}
		turns = append(turns, t.scenario())
	}
	return turns
}

// rotate gives each scenario its turn in each round.
func (o *options) rotate(ctx context.Context, turns []scenario, w workload, progress io.Writer) (result, error) {
	r := result{workload: w, Runs: map[string][]figures{}}
	for _, s := range turns {
		r.rows = append(r.rows, s.name)
	}
	for round := range w.Rounds {
		for _, s := range turns {
			f, err := s.run(ctx, &o.bench, w)
			if err != nil {
				return r, fmt.Errorf("%s, %s: %w", w.Name, s.name, err)
			}
			r.Runs[s.name] = append(r.Runs[s.name], f)
			fmt.Fprintf(progress, "%s round %d %s: %v\n", w.Name, round+1, s.name, f)
		}
	}
	r.judge()
	return r, nil
}

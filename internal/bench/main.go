package main

import (
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

	"github.com/panelmail/panelmail/internal/interop"
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
	rounds    int
	messages  int
	targets   []string
	workloads []workload
	json      bool
}

// parse reads the command line.
func parse(args []string) (options, error) {
	var o options
	var targets string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "how often each target is run with each workload")
	f.IntVar(&o.messages, "messages", 0, "messages of one run, if not the workload's own number")
	f.StringVar(&targets, "targets", "ceiling,postfix,postfix-tuned,panelmail", "what to measure, in this order")
	f.StringVar(&o.dir, "dir", os.TempDir(), "where servers keep their data; on a real disk")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "limit of one run; what has not arrived by then is lost")
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
	all := workloads()
	for _, name := range wanted {
		i := slices.IndexFunc(all, func(w workload) bool { return w.Name == name })
		if i < 0 {
			return o, fmt.Errorf("there is no workload %s", name)
		}
		w := all[i]
		if o.messages > 0 {
			w.Messages = o.messages
		}
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
	targets, err := o.build(ctx)
	if err != nil {
		return err
	}
	r := report{Rounds: o.rounds, Pipelining: o.pipelining}
	if r.Machine, err = examine(ctx, o.dir); err != nil {
		return err
	}
	if !o.json {
		r.print(out)
	}
	for _, w := range o.workloads {
		result, err := o.rotate(ctx, targets, w, progress)
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
func (o *options) build(ctx context.Context) ([]target, error) {
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
			binary, err := interop.BuildStandalone(ctx, o.dir)
			if err != nil {
				return nil, err
			}
			targets = append(targets, panelmail(binary))
		default:
			return nil, fmt.Errorf("there is no target %s", name)
		}
	}
	return targets, nil
}

// rotate gives each target its turn in each round.
func (o *options) rotate(ctx context.Context, targets []target, w workload, progress io.Writer) (result, error) {
	r := result{workload: w, Runs: map[string][]figures{}, targets: o.targets}
	for round := range o.rounds {
		for _, t := range targets {
			if t.name == "ceiling" && w.Held {
				continue // nothing is accepted by a destination that is held
			}
			f, err := o.run(ctx, t, w)
			if err != nil {
				return r, err
			}
			r.Runs[t.name] = append(r.Runs[t.name], f)
			fmt.Fprintf(progress, "%s round %d %s: %.0f accepted/s, %.0f/s end to end\n", w.Name, round+1, t.name, f[acceptRate], f[endRate])
		}
	}
	r.judge()
	return r, nil
}

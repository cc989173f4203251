package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A report is everything that was measured.
type report struct {
	Machine    machine  `json:"machine"`
	Pipelining bool     `json:"pipelining"`
	Results    []result `json:"results"`
}

// A result is one workload over all rounds.
type result struct {
	workload
	Runs    map[string][]figures         `json:"runs"`    // by target or case, in the order of rounds
	Summary map[string]map[string]spread `json:"summary"` // likewise, by figure
	Goals   []verdict                    `json:"goals"`
	rows    []string                     // targets or cases, in the order they ran
}

// A verdict is a goal and what was reached.
type verdict struct {
	Goal    string `json:"goal"`
	Reached spread `json:"reached"`
	Met     bool   `json:"met"` // by the median
}

// ours and peers are the names of targets in a comparison.
const ours = "panelmail"

func peers() []string { return []string{"postfix", "postfix-tuned"} }

// judge fills in what follows from the runs.
func (r *result) judge() {
	r.Summary = map[string]map[string]spread{}
	for name, runs := range r.Runs {
		r.Summary[name] = summary(runs)
	}
	for _, g := range r.goals {
		var values []float64
		if g.relative {
			var others [][]figures
			for _, p := range g.others() {
				others = append(others, r.Runs[p])
			}
			values = ratios(g, r.Runs[g.subject()], others)
		} else {
			for _, f := range r.Runs[g.subject()] {
				values = append(values, f[g.figure])
			}
		}
		if len(values) == 0 {
			continue
		}
		s := spreadOf(values)
		r.Goals = append(r.Goals, verdict{Goal: g.String(), Reached: s, Met: g.met(s.Median)})
	}
}

// print writes the machine and the way of measuring.
func (r *report) print(out io.Writer) {
	m := r.Machine
	fmt.Fprintf(out, "%s, %d cores, Linux %s, %s, %.0f fdatasync/s of 4 KiB\n", m.CPU, m.Cores, m.Kernel, m.FileSystem, m.Syncs)
	fmt.Fprintf(out, "panelmail %s built with %s, Postfix %s\n", m.Panelmail, m.Go, m.Postfix)
	fmt.Fprintf(out, "all in turn in each round; median (min-max); pipelining in the generator: %t\n", r.Pipelining)
}

// print writes one workload as a table.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s  %s (%d messages, %d rounds)\n", r.Name, r.Text, r.Messages, r.Rounds)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	shown := r.shown()
	fmt.Fprintf(t, "\t%s\t\n", strings.Join(shown, "\t"))
	for _, row := range r.rows {
		if len(r.Runs[row]) == 0 {
			continue // not part of this workload
		}
		fmt.Fprintf(t, "%s\t", row)
		for _, name := range shown {
			s, ok := r.Summary[row][name]
			if !ok {
				fmt.Fprint(t, "-\t")
				continue
			}
			fmt.Fprintf(t, "%s (%s-%s)\t", number(s.Median), number(s.Min), number(s.Max))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for _, v := range r.Goals {
		met := "reached"
		if !v.Met {
			met = "NOT reached"
		}
		fmt.Fprintf(out, "  goal %s: %s (%s-%s), %s\n", v.Goal, number(v.Reached.Median), number(v.Reached.Min), number(v.Reached.Max), met)
	}
}

// shown are the figures that some row has.
func (r *result) shown() []string {
	var shown []string
	for _, name := range names() {
		for _, row := range r.rows {
			if _, ok := r.Summary[row][name]; ok {
				shown = append(shown, name)
				break
			}
		}
	}
	return shown
}

// number writes three significant digits, and whole numbers from 100 on.
func number(v float64) string {
	if v >= 100 || v == 0 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

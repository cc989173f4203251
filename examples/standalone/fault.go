package main

import (
	"errors"
	"fmt"
)

// A fault is what is wrong with a place of the configuration.
type fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Key     string `json:"key,omitempty"`
	Problem string `json:"problem"`

	err error // what the problem is the text of; may be nil
}

// Error implements error.
func (f *fault) Error() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("configuration: %s: %s%s", place, prefixed("", f.Key, ": "), f.Problem)
}

// Unwrap is for errors.Is.
func (f *fault) Unwrap() error { return f.err }

// fault is an error about a key, at its line of the file if it is there.
func (a *app) fault(key string, err error) error {
	return &fault{File: a.configFile(), Line: lineOf(a.text, key), Key: key, Problem: err.Error(), err: err}
}

// faults are the faults in an error; what is none is one without a line.
func (a *app) faults(err error) (all []*fault) {
	var one *fault
	joined, several := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
	case several:
		for _, inner := range joined.Unwrap() {
			all = append(all, a.faults(inner)...)
		}
	case errors.As(err, &one):
		all = append(all, one)
	default:
		all = append(all, &fault{File: a.configFile(), Problem: err.Error(), err: err})
	}
	return all
}

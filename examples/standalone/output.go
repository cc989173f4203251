package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// errGone says that whoever read standard output has left, as head(1) does.
// There is nobody to tell, and nothing went wrong.
var errGone = errors.New("standard output is closed")

// A reader is somebody who reads what is written, until he leaves.
type reader struct{ io.Writer }

// Write implements io.Writer.
func (r reader) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = errGone
	}
	return n, err
}

// An output is the standard output and the standard error of a command. What
// goes to the former is collected into pieces, so that a million lines are not a
// million frames or system calls; what goes to the latter appears at once, after
// what was written before it. Errors of standard output stay.
type output struct {
	*bufio.Writer
	problems io.Writer
}

// outputPiece is how many octets of an answer are written together.
const outputPiece = 32 << 10

func newOutput(stdout, stderr io.Writer) output {
	return output{bufio.NewWriterSize(stdout, outputPiece), stderr}
}

// stderr is where problems go.
func (o output) stderr() io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		if err := o.Flush(); err != nil {
			return 0, err
		}
		return o.problems.Write(p)
	})
}

// printable is text from the network for a terminal or for a program that reads
// lines: control characters and what is not UTF-8 become question marks.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

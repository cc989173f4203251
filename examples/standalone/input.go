package main

import (
	"fmt"
	"io"
	"os"
)

// readFile reads a file of at most so many octets; - is standard input.
func readFile(stdin io.Reader, name string, most int64) ([]byte, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: larger than %d octets", name, most)
	}
	return text, err
}

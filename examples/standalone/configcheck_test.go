package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// checkup runs config check --json.
func (l *lab) checkup() checkup {
	l.t.Helper()
	got := l.run("", "config", "check", "--json")
	var c checkup
	if err := json.Unmarshal([]byte(got.Stdout), &c); err != nil || got.Stderr != "" || (got.Status == 0) != c.OK {
		l.t.Fatalf("%+v: %v", got, err)
	}
	return c
}

func TestConfigCheckNamesFileLineAndKeyOfEachProblem(t *testing.T) {
	l := newLab(t)
	file, missing := filepath.Join(l.data, "panelmail.toml"), filepath.Join(l.data, "missing")
	at := func(line int, key, problem string) *fault {
		return &fault{File: file, Line: line, Key: key, Problem: problem}
	}
	for _, tt := range []struct {
		lines []string
		want  []*fault
	}{
		{nil, []*fault{}},
		{[]string{"[queue]", "workers = 0", "[log]", `format = "xml"`}, []*fault{
			at(2, "queue.workers", "0: want more than 0"), at(4, "log.format", `"xml": want text or json`)}},
		{[]string{"[queue]", `workers = "many"`}, []*fault{at(2, "queue.workers", "incompatible types: TOML value has type string; destination has type integer")}},
		{[]string{"queue.wokers = 1", "nonsense = 2"}, []*fault{at(1, "", `unknown key "queue.wokers"`), at(2, "", `unknown key "nonsense"`)}},
		{[]string{`log.file = "` + missing + `/log"`}, []*fault{at(1, "log.file", "stat "+missing+": no such file or directory")}},
		{[]string{`tls.certificate = "` + missing + `"`, `tls.key = "` + missing + `"`}, []*fault{
			at(1, "tls.certificate", missing+" with key "+missing+": open "+missing+": no such file or directory")}},
	} {
		l.configure(append(tt.lines, "")...)
		want := checkup{File: file, OK: len(tt.want) == 0, Problems: tt.want, Warnings: []*fault{}}
		if diff := cmp.Diff(want, l.checkup(), cmpopts.IgnoreUnexported(fault{})); diff != "" {
			t.Errorf("%q: %s", tt.lines, diff)
		}
	}
}

func TestConfigCheckWarnsOfACertificateThatClientsWillNotLike(t *testing.T) {
	r := &reloading{lab: newLab(t)}
	r.crt, r.key = filepath.Join(r.data, "x.crt"), filepath.Join(r.data, "x.key")
	r.certify("other.example")
	r.settings()
	if err := os.Chmod(r.key, 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.checkup().Warnings {
		got = append(got, f.Key+": "+f.Problem)
	}
	if diff := cmp.Diff([]string{"tls.certificate: " + r.crt + " is not for mail.panel.example", "tls.key: " + r.key + " can be read by everybody"}, got); diff != "" {
		t.Error(diff)
	}
	if text := r.do("", "config", "check"); !strings.Contains(text, "warning: configuration: "+filepath.Join(r.data, "panelmail.toml")+":5: tls.certificate: "+r.crt+" is not") {
		t.Errorf("in words:\n%s", text)
	}
}

func TestConfigCheckLooksAtTheDataDirectory(t *testing.T) {
	l := newLab(t)
	config := filepath.Join(t.TempDir(), "p.toml")
	if err := os.WriteFile(config, []byte("hostname = \"mail.panel.example\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.data, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := l.run("", "config", "check", "--config", config); got.Status != 1 || !strings.Contains(got.Stdout, "has mode 0777") {
		t.Errorf("%+v", got)
	}
}

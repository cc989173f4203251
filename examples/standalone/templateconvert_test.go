package main

import "testing"

func TestATemplateOfAnotherPanelIsConverted(t *testing.T) {
	l := newLab(t)
	old := l.file("dns_mx.conf", "mail=10\n|*if PLAN=\"big\"|\nmail2=20\n|*endif|\n")
	const text = "{{$.Domain}}. {{$.TTL}} IN MX 10 mail.{{$.Domain}}.\n"
	l.steps(nil,
		step{args: "template convert directadmin " + old, stdout: text,
			stderr: "warning: " + old + ":2: the condition and its records are left out; write {{if …}} with what decides in Vars"},
		step{args: "template convert openpanel - --json", stdin: "@ IN MX 5 {domain}.\n",
			stdout: `{"file":"-","panel":"openpanel","text":"{{$.Domain}}. {{$.TTL}} IN MX 5 {{$.Domain}}.\n"}` + "\n"},
		step{args: "dns validate -", stdin: text, stdout: "-: 1 records for example.com, nothing wrong\n"},
		step{args: "template convert webmin -", stdin: "x", status: 1, stderr: `the panel "webmin" is not known; write one of [cpanel `},
		step{args: "template convert cpanel " + old + ".none", status: 1, stderr: "no such file"},
		step{args: "template convert cpanel", status: 2, stderr: "usage: panelmail template convert PANEL FILE"},
	)
}

package main

import "testing"

func TestRulesHoldMailUntilTheyAreDeleted(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "queue rule list", stdout: "no rules\n"},
			step{args: "queue rule add --domain late.example", status: 2, stderr: "a rule needs a --reason"},
			step{args: "queue rule add --domain a@late.example --reason x", status: 1, stderr: "a@late.example"},
			step{args: "queue rule add --via pigeon --reason x", status: 1, stderr: "pigeon"},
			step{args: "queue rule add --reason x extra", status: 2, stderr: "usage: panelmail queue rule add"},
			step{args: "queue list --state hold --domain late.example", status: 1, stderr: "no message matches"},
			step{args: "queue|rule|add|--site|shop|--sender|ME@shop.example|--domain|late.example|--via|api|--reason|a wave of spam",
				stdout: "rule 1 holds --site shop --sender ME@shop.example --domain late.example --via api\n"},
			step{args: "queue list --state hold --domain late.example", stdout: `ID1  hold          233  DATE  me@shop.example  u@late.example, v@late.example (held by rule 1: a wave of spam)
`},
			step{args: "queue rule list", stdout: "ID  HOLDS                                                                 REASON\n" +
				"1   --site shop --sender me@shop.example --domain late.example --via api  a wave of spam\n"},
			step{args: "queue rule delete one", status: 2, stderr: `"one" is no number of a rule`},
			step{args: "queue rule delete 2", status: 1, stderr: "2: "},
			step{args: "queue rule delete 1", stdout: "rule 1 deleted; what it holds stays on hold\n"},
			step{args: "queue rule list --json"},
			step{args: "queue list --state hold --sender <>", status: 1, stderr: "no message matches"},
			step{args: "queue rule add --reason maintenance", stdout: "rule 2 holds all mail\n"},
			step{args: "queue list --state hold --sender <>", stdout: "ID2  hold          294  DATE  <>  w@late.example (held by rule 2: maintenance)\n"},
		)
	})
}

package blade

// A node is a part of a template that writes something or does something.
type node interface {
	run(m *machine) error
}

// The nodes.
type (
	textNode struct {
		at
		text string
	}

	echoNode struct {
		at
		x      expr
		escape bool
	}

	// A doNode evaluates an expression for what it does.
	doNode struct{ x expr }

	// An ifNode runs the first of its branches whose condition holds.
	ifNode struct{ branches []branch }

	// A branch without a condition holds.
	branch struct {
		cond expr
		body []node
	}

	// A loopNode runs its body for each entry of an array, or otherwise if there
	// is none.
	loopNode struct {
		at
		over      expr
		key       *pattern // nil: not wanted
		value     pattern
		body      []node
		otherwise []node
		counted   bool // it has a $loop
	}

	// A jumpNode leaves a loop or its round, if its condition holds.
	jumpNode struct {
		cond expr // nil: always
		err  error
	}
)

// A pattern is where the value of a loop goes: a variable, or the parts of an
// array.
type pattern struct {
	at
	name  string
	parts []patternPart
}

type patternPart struct {
	key   value
	place pattern
}

package blade

import (
	"slices"
	"strings"
)

// The directives that Blade knows, in lower case, for it does not mind which.
var (
	directives = strings.Fields(`if elseif else endif unless endunless isset endisset
		empty endempty foreach endforeach forelse endforelse break continue
		endphp endverbatim`)

	loops = strings.Fields("for endfor while endwhile")

	foreign = strings.Fields(`append auth aware bool can canany cannot case checked choice
		class component componentfirst context csrf dd default disabled dump each
		elseauth elsecan elseguest endauth endcan endcannot endcomponent endenv enderror
		endfragment endguest endlang endonce endprepend endproduction endpush endsection
		endsession endslot endswitch env error extends extendsfirst fragment guest
		hassection hasstack include includefirst includeif includeunless includewhen inject
		js json lang method once overwrite parent prepend production props push
		pushif readonly required section sectionmissing selected session show slot stack stop
		style switch unset use vite yield`)
)

// supported reports whether a directive is one of ours.
func supported(word string) bool { return slices.Contains(directives, word) }

// refused reports whether a directive is one of Blade's that is not ours: in
// Blade it would not be text.
func refused(word string) bool {
	return slices.Contains(foreign, word) || slices.Contains(loops, word)
}

// instead says what to write in place of a directive that is refused.
func instead(word string) string {
	switch {
	case slices.Contains(loops, word):
		return "@foreach(range(1, 3) as $i)"
	case strings.HasPrefix(word, "include"):
		return "the lines here: a template opens no other file"
	case word == "switch" || word == "case" || word == "default" || word == "endswitch":
		return "@if, @elseif and @else"
	}
	return "@@" + word + " to print it"
}

package iam

import (
	"strings"
	"testing"
)

// BenchmarkPattern matches what policies have for the most part, and what a hostile one could.
func BenchmarkPattern(b *testing.B) {
	const arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/shop/database-AbCdEf"
	for _, c := range []struct{ name, pattern, text string }{
		{"exact", arn, arn},
		{"prefix", "kms:describe*", "kms:encrypt"},
		{"suffix", "*/other", "arn:aws:iam::111122223333:user/bench"},
		{"random suffix", "prod/shop/database-??????", "prod/shop/database-AbCdEf"},
		{"stars", "prod/*/data*-*", "prod/shop/database-AbCdEf"},
		{"question marks in a word", "*shop/d?t?base-*", "prod/shop/database-AbCdEf"},
		{"hostile: words", strings.Repeat("*aaaaaaab", 600), strings.Repeat("a", 8192)},
		{"hostile: question marks", "*" + strings.Repeat("?a", 3000) + "b*", strings.Repeat("a", 8192)},
		{"hostile: a few question marks", "*a?" + strings.Repeat("a", 50) + "b*", strings.Repeat("a", 8192)},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := compilePattern(c.pattern, true, false)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			work := Meter{}
			for b.Loop() {
				work.left = MaximumWork
				p.match(c.text, &work)
			}
		})
	}
}

package iamdifferential_test

// settle names the difference that explains two answers which are not the same, empty if there is none.
func settle(_ *testCase, _, _ string) string { return "" }

"""edgeHub's route language, as Microsoft's compiler has it (Azure/iotedge, Routing.Core).

A route's text takes this way; each stop is a room of its own:

| room          | does                                                                      |
|---------------|---------------------------------------------------------------------------|
| `lexer`       | text to tokens: the longest match wins (`grammar/GrammarLexer.g4`)        |
| `syntax`      | tokens to a tree: the precedence of operators (`grammar/Condition.g4`)    |
| `conditions`  | tree to closures: every expression gets its kind, or the route is refused |
| `operators`   | which kinds an operator takes, and what it does: one table                |
| `functions`   | the same for the built-in functions                                       |
| `values`      | the kinds of values, and what undefined and null mean in each             |
| `body`        | JSON paths and the values behind them (`$body`, `twin_change_includes`)   |
| `message`     | what of a message a condition may ask for                                 |
| `dotnet`      | what .NET does with text and numbers, where Python does otherwise         |
| `language`    | the route around its condition: source, sink, priority, time to live      |
"""

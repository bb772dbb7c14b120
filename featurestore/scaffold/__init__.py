"""The first look at somebody's files, and the first definitions of them.

sample    some rows of a file: from its head, its middle and its end
columns   what the values of one column are: its type, what disagrees, how it is spelled
roles     which column says when, which identifies, whom features could be about, and why
times     times that only a mapping can tell of
words     what the words in names of columns make one think of
look      all of it together, for some files
module    the text of a module of definitions
settings  where a project's store and files are
project   what is written: the module, the settings, what to do next
"""

# Writes text files into a C file as one table {name, text}: cmake -DOUTPUT=FILE -DSYMBOL=NAME -DINPUTS=a.cl|b.cl -P embed.cmake
# Bytes are written as numbers, so neither quotes nor the length of string literals matter.
string(REPLACE "|" ";" inputs "${INPUTS}")
set(arrays "")
set(rows "")
set(index 0)
foreach(input IN LISTS inputs)
    get_filename_component(name "${input}" NAME)
    file(READ "${input}" bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const char text_${index}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", text_${index}, sizeof text_${index} - 1},\n")
    math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}.tmp"
    "#include \"embedded.h\"\n${arrays}const cg_embedded ${SYMBOL}[] = {\n${rows}    {0, 0, 0},\n};\n")
file(RENAME "${OUTPUT}.tmp" "${OUTPUT}")

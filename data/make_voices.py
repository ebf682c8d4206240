"""Make a data set of many words by many synthesizers, for training to hear beside people.

    python data/make_voices.py [--dest data/voices]
    echoic train gru --data data/speech_commands_v0.02 --extra data/voices

Speech Commands has few words that are no command; a recognizer that knows thirty words takes the
next one for one of them. These are 1,536 more, and the commands as well, or a network would learn
that a synthesizer never means a command. The voices are the training voices of the sample set
(`make_sample.py`), each in several sizes; the words that `recipes/gru.toml` keeps unseen are not
among these words, and no other word sounds like a command or like one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import make_sample
from make_sample import COMMANDS, VOICES, Voice, generator

WORDS = """\
able about above accept across action actor address advice afraid after again agent agree air
alarm album alexa allow almost alone already always amber ancient angel anger animal ankle annual
another answer any anybody apart apple april apron area argue arm army around arrive arrow artist
ashes aside ask asleep athlete attack attic august aunt author autumn avenue average awake away
axe baby back bacon bad badge bake balance balcony ball bamboo banana bandage bank barber bark
barn barrel base basement basic basket battery battle beach beauty become beef beer before begin
behave behind believe bell belong below belt bench berry beside best better between beyond bicycle
big bike billion biscuit bishop bitter black blade blame blanket bless blind block blood blossom
blue board boat body boil bone book border borrow boss bother bottle bottom bounce bowl box boxer
brain branch brave bread breath breeze brick bride bridge bring broad broom brother brown brush
bubble bucket budget buffalo bug build bullet bundle burger bury bus business busy butcher butter
butterfly button buy cabbage cabin cable cactus cage cake call calm camel camera camp canal cancel
candle candy cannon canoe canvas captain car carbon career careful carpet carrot carry cartoon
castle casual cattle cause cave ceiling celery center century cereal certain chair chalk champion
chance change channel chapter charge cheese cherry chest chicken chief child chimney chocolate
choice choose church cinema circle circus citizen city claim clap class clay clean clear clever
client climb clinic clock close cloth cloud clover clown coach coast cobra coffee coin cold collar
college color column come comfort comic command common company compass complete computer concert
concrete confirm connect contact contain control cook cookie cool copper copy coral corn corner
correct cost cotton count country county couple courage course cousin cover cow cozy cradle crane
crash crawl crayon cream create credit cricket crime crisp crocodile cross crowd crown cruise
crystal culture cup curious curly current curtain cushion custom customer cycle daily dairy dance
danger dark daughter day deal dear debate december decide deep deer defend degree deliver dentist
depend desert design desk detail develop device dial diamond diary dictionary different difficult
digital dime dinner direct dirty discover dish distance dizzy doctor dollar dolphin domain donkey
door double dozen dragon drama drawer dream dress drill drink drive driver drum duck dust duty
dwarf eager eagle early earth east easy echo economy edge editor education effort egg either elbow
electric elephant elevator eleven emerald emotion employ empty enable end enemy energy engine
engineer enjoy enough enter entire envelope equal error escape europe evening event every evil
exact example excellent except exchange excite excuse exercise exit expect expert explain express
extra eyebrow fabric face factory faint fairy faith fall family famous fancy farm fashion fast
father fault favorite feather feature february federal feed fence ferry festival fever fiction
fiddle field fifteen fifty figure film filter final find finger finish fire firm fish fitness flag
flame flash flat flavor flexible flight flock floor flour flower flute fly foil folder food
foolish foot foreign forest fork formal fortune fossil fountain fourteen fragile frame freeze
french frequent fresh friday fridge friend frighten frog frozen fruit full function funny
furniture future galaxy gallery game garage garbage garden garlic gather gender general genius
gentle german giant gift ginger giraffe girl give glance glass glory glove glue gold good google
goose gorilla grace grade grain grammar grand grape graph grass gravity great green grocery ground
group guard guest guide guitar habit hair hammer hamster hand handle hang happen harbor hard
harvest hat hawk hazard headache health hear heart heavy hello helmet help hidden hill hippo
history hobby hockey holiday home honest honey hope horizon hospital hot hotel hour huge human
humor hundred hungry hunter hurry husband ice icy idea identity illness image imagine impact
important improve inch include income increase indeed index indoor industry infant inform injury
ink inner insect inside inspire instant instrument insurance interest internet invent invite iris
iron island item itself ivory jacket jaguar january jazz jealous jeans jelly jewel job join joke
journal journey judge juice jump jungle junior justice kangaroo karate keep ketchup kettle key
kidney kind king kingdom kiss kitchen kiwi knife knock label labor ladder lady lake lamb lamp
language laptop large laser lately laugh laundry lava lawyer layer lazy leader leaf league leather
lecture legal legend leisure lemon lemonade length leopard lesson letter level liberty library
license lid light lightning limit line lion liquid list listen little liver lizard lobster local
location lock logic lonely long lotion lottery loud lounge love lower loyal lucky lumber lunar
lunch luxury machine magic magnet maid mail major manager mango manual maple marble march marine
market marriage mask master match math matter mattress maximum maybe mayor meadow meal meaning
measure meat mechanic medal media medicine medium meeting melon member memory mention menu
merchant mercy message metal meter method middle midnight military milk million mind mineral
minister minor minus minute miracle mirror misery mission mistake mixture mobile model modern
modest moment monday money monkey monster month mood moon moral morning mosquito mother motion
motor mountain mouse movie muffin muscle museum mushroom music mystery myth name napkin narrow
nation native natural nature navy necessary neck necklace needle nephew nerve network neutral
never news nickel niece nineteen ninety nobody noise normal north nose notebook nothing notice
novel november nuclear number nurse nut oak oatmeal object observe obvious ocean october odd
office officer oil okay olive omelet onion online open opera opinion opposite option oral orange
orchard order organ origin ostrich other otter outdoor outside oval oven owner oxygen oyster pack
package paddle page pain paint pair palace palm pancake panda panel panic panther paper parade
parent parking parrot partner party passenger past pasta patch patient pattern pause pavement
payment peace peach peanut pear pelican pencil penguin people pepper perfect perfume period permit
person phone physics piano pickle picnic picture piece pigeon pillow pilot pink pioneer pirate
pitch pizza place planet plant plastic plate play player please plenty plumber pocket poem poet
point poison polar police polite politics pond pony popcorn popular porch position possible post
potato pottery powder power practice prefer prepare present pressure pretty previous price priest
primary prince print prison private problem process produce profit program project promise protect
proud public pudding pull pumpkin punch pupil puppy purple purpose purse puzzle pyramid quality
quantity quarrel quarter queen quest question quick quiet quite quiz quote rabbit racket radio
radish rage railway rain rainbow raisin ranch random rapid raven razor reach reader ready real
reason recent recipe record recycle refuse region regret regular relax release remain remember
remote remove repair repeat replace report request rescue research respect result return reveal
review reward rhythm ribbon riddle ring ripple rival river road roast robin robot rocket rocky
romance roof room rooster rope rose rough round royal rubber rude ruin ruler rumor runner rural
sad saddle safe sailor salad salary salmon salt sample sand sandal sandwich saturday sauce sausage
scarf scene school science scissors score scout scratch scream screen sculpture seal search season
second secret security seed senior sense sentence separate september serious service seventeen
several severe shadow shallow shampoo shape shark sharp shell shelter sheriff shiny ship shirt
shiver shoe shoulder shovel shower shrimp shrink shuffle sibling signal silk silly silver similar
simple singer sink sister sixteen sketch skill skin skull sleep slice slipper slow small smart
smell smile smooth snack snail snake snow soap soccer social socket soft soil soldier solid
solution someone song soul soup source south space spark speaker special speech speed spell spider
spinach spirit splash spoil sponge spoon sport spot spring square squash squirrel stable stadium
stair stamp standard start station statue status steam steel stem stereo stick stomach stone store
storm story straw stream street stretch strike string strong student studio stupid style subject
submarine subway success sudden suffer sugar suggest suit summer summit sunday sunset sunshine
super supper supply support sure surface surgeon surprise survey suspect swallow swamp sweater
sweet swim swing switch sword symbol syrup system table tablet tail talent tango tape target taste
taxi teacher team teapot technology teenager television temple tennis tent terrible territory
thank theater theory therapy thick thief thing thirsty thirteen thirty thousand thread throat
throne thumb thunder ticket tide tiger timber timer tiny tissue title toast tobacco together
toilet token tomato tomorrow tongue tooth topic tornado total touch tourist toward towel tower
track tractor trade tradition traffic tragic trailer train trash travel treasure triangle tribe
trick trigger trophy tropical trouble trousers truck trumpet trust truth tulip tunnel turkey turn
turtle tuxedo twelve twenty twin twist typical ugly umbrella uncle under uniform union unique
universe unknown until unusual upset urban urgent useful usual vacation vacuum valid valley value
vampire vanilla various vegetable vehicle velvet verb version vessel veteran victory video view
village vinegar violin vision visit vital vitamin vivid vocal voice volcano volume volunteer
voyage waffle wagon wait walk wall walnut warm warning warrior wash waste watch water wealth
weapon weather wedding wednesday week weekend welcome whale wheat wheel whisper whistle whole wide
widow wife wild willow window winner winter wisdom wish witness wizard wolf woman wonder wood wool
work world worry worth wrap wreck wrestle wrist wrong yacht yard yellow yesterday yogurt yolk
young yourself youth zebra zipper zone
"""
VOICES_PER_WORD, VOICES_PER_COMMAND = 7, 100
SIZES = (0.9, 0.96, 1.0, 1.05, 1.1)
"""Vocal tracts, as factors of every frequency."""


def voices() -> list[Voice]:
    """The training voices of the sample set, each in `SIZES`."""
    return [
        dataclasses.replace(voice, tract=round(voice.tract * size, 3))
        for voice in VOICES
        if voice.split == "training"
        for size in SIZES
    ]


def plan() -> dict[Voice, list[str]]:
    """Which voice says which words."""
    everyone = voices()
    words: dict[Voice, list[str]] = {voice: [] for voice in everyone}
    for word in [*COMMANDS, *WORDS.split()]:
        count = VOICES_PER_COMMAND if word in COMMANDS else VOICES_PER_WORD
        for index in generator("voices", word).permutation(len(everyone))[:count]:
            words[everyone[index]].append(word)
    return words


def speak(task: tuple[Voice, list[str]], *, dest: Path) -> int:
    """Write one voice's words; returns how many."""
    voice, words = task
    written = 0
    for word, waveform in zip(words, make_sample.say(voice, words), strict=True):
        try:
            clip = make_sample.record(voice, word, make_sample.trim(waveform))
        except ValueError:  # too long for a clip of a second
            continue
        make_sample.write(dest / word / f"{voice.speaker}_nohash_0.wav", clip)
        written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="Many words by many synthesizers.")
    parser.add_argument("--dest", type=Path, default=Path(__file__).resolve().parent / "voices")
    dest = parser.parse_args().dest
    make_sample.check_programs()
    shutil.rmtree(dest, ignore_errors=True)
    with ProcessPoolExecutor() as pool:
        made = sum(pool.map(partial(speak, dest=dest), plan().items()))
    print(f"{made} clips of {len(COMMANDS) + len(WORDS.split())} words in {dest}")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Which words the lexicon has: WordNet's nouns for what a camera can see, and what it lacks.

A name is taken if most of what it means is visible.  Rare words come last: those that the
sentence encoder's vocabulary spells in many pieces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from tinyvlm.train.lexicon.wordnet import WordNet
from tinyvlm.words.lexicon import canonical

LONGEST = 3  # words
# Kinds of things that one can see, with how many pieces a word's spelling may have (a common word
# is one piece of the sentence encoder's vocabulary) and with what rarity they queue.
VISIBLE = {
    "artifact": (4, 0.0),
    "food": (4, 0.0),
    "animal": (4, 0.5),
    "object": (3, 0.5),
    "plant": (4, 1.0),
    "phenomenon": (2, 2.5),
    "shape": (2, 2.0),
    "body": (2, 1.5),
    "substance": (2, 2.0),
    "person": (2, 2.0),
    "location": (1, 2.5),
}
# Of other kinds, only what stands below these; (name, kind) names the first such sense.
ALSO = (
    ("color", "attribute"),
    ("visual communication", "communication"),
    ("ticket", "communication"),
    ("license", "communication"),
    ("signal", "communication"),
    ("publication", "communication"),
    ("sport", "act"),
    ("dance", "act"),
    ("game", "act"),
    ("coin", "possession"),
    ("paper money", "possession"),
    ("crowd", "group"),
    ("animal group", "group"),
    ("ceremony", "act"),
    ("season", "time"),
    ("time of day", "time"),
)
# Persons are words for what people do, wear or play; WordNet's other persons are mostly opinions.
PERSONS = (
    "worker entertainer athlete scientist professional serviceman player juvenile relative ruler"
    " creator traveler combatant female male engineer leader performer musician artist cleric"
    " attendant guard sailor rider driver hunter spectator passenger pilot"
).split()
# What stands below these is not for a camera, or not for polite company.
NEVER = (
    ("drug", "artifact"),
    ("microorganism", "animal"),
    ("taxonomic group", "group"),
    ("sex organ", "body"),
    ("somatic cell", "body"),
    ("nerve", "body"),
    ("blood vessel", "body"),
    ("protein", "substance"),
    ("enzyme", "substance"),
    ("hormone", "body"),
    ("unpleasant person", "person"),
    ("unwelcome person", "person"),
    ("bad person", "person"),
    ("simpleton", "person"),
    ("unfortunate", "person"),
    ("person of color", "person"),
    ("slave", "person"),
    ("lover", "person"),
    ("prostitute", "person"),
    ("woman", "person"),
    ("homosexual", "person"),
    ("vulgarian", "person"),
    ("sexual activity", "act"),
    ("particle", "object"),
)
BAD_USAGE = ("ethnic slur", "disparagement", "obscenity")
BAD_GLOSS = re.compile(
    r"offensive|derogatory|vulgar|obscen|disparag|slur\b|pejorative|ethnic|sexual|prostitut"
    r"|nazi|lynch|erotic|genital|narcotic|contemptuous|insult|a promiscuous|buttocks"
)
STOP = set(
    "anus boob cocotte crapper dildo douche dyke eskimo fagot faggot gypsy hag homo hooker jewfish"
    " jim midget negro penis piss ponce pouf savage shit slave squaw turd".split()
)
# Everyday things that came after WordNet 3.0, that it knows under stiffer names, or that its
# senses hide (a nail is a part of the body first).
EXTRA = """
3d printer, action figure, air fryer, airpods, allen key, angle grinder, arduino, baby monitor,
bath toy, beanie, bike helmet, bike lock, board game, bobblehead, bread maker, breadboard,
building blocks, bubble wrap, cable tie, car key, car seat, card reader, cardboard box, cardboard
tube, cat food, cat toy, cat tree, charging cable, chew toy, circuit board, coffee mug, coffee
grinder, coffee machine, cola can, coloring book, computer mouse, copper wire, cordless drill,
credit card, crosswalk, cup holder, delivery van, desk lamp, digital clock, dish soap, dog bed,
dog bowl, dog food, dog toy, drone, dumpster, dust mask, e scooter, ear muffs, ear protection,
earbuds, earbud, electric car, electric drill, electric kettle, electric scooter, electric
toothbrush, electrical tape, espresso machine, ethernet cable, exercise ball, extension cord,
face mask, fidget spinner, file, fire, firefighter, first aid kit, fishing rod, fitness tracker,
flame, flash drive, food bowl, food container, game console, game controller, gaming chair,
garden chair, garden gnome, garden shears, garbage bag, gas station, gift box, gift card, glue
gun, glue stick, graphics card, hand sanitizer, hard drive, hard hat, hdmi cable, heat gun, heat
sink, hex key, high five, hole punch, hose clamp, hoverboard, hula hoop, ink cartridge, ipad,
iphone, jumper wire, keychain, key ring, label printer, laptop bag, laser pointer, led, led
strip, lego, lego brick, letter, level, licence plate, light bulb, light switch, lip balm, litter
box, lunch bag, luggage, magnet, mason jar, measuring tape, memory card, microcontroller, miter
saw, model car, moon, motion sensor, mouse pad, mp3 player, multimeter, nail, nail clippers, nerf
gun, network cable, nose, notebook, nut, office chair, oven mitt, packaging, paint can, paper
bag, paper cup, paper plate, paper towel roll, pedestrian, pencil case, person in a wheelchair,
pet bed, pet carrier, phone case, phone charger, photo frame, pill bottle, pizza box, pizza
cutter, plastic bag, plastic bottle, plastic cup, play dough, playing card, plush toy, police
officer, postman, pothole, power bank, power drill, power strip, power tool, pressure washer,
pruning shears, rake, raspberry pi, recycling bin, remote, robot vacuum, rubber duck, rubik's
cube, safety glasses, safety goggles, safety vest, sandpaper, satellite dish, scanner, screen,
screw, sd card, security camera, selfie stick, servo motor, shopping bag, shopping list, sim
card, slinky, slow cooker, smart speaker, smart watch, smartphone, smartwatch, snow globe, soap
bar, soccer goal, socket wrench, soda bottle, solar panel, soldering iron, spray paint, spring,
sticky note, stop sign, stuffed animal, stylus, sun, sunscreen, sushi roll, tablet computer,
takeaway box, tape dispenser, tennis racket, thumbs down, thumbs up, tissue box, toy airplane,
toy boat, toy car, toy dinosaur, toy gun, toy robot, toy soldier, toy train, toy truck, traffic
cone, trash bag, treadmill, tv remote, usb cable, usb drive, usb hub, usb stick, utility knife,
vacuum cleaner, video game, vr headset, walker, wall charger, wall outlet, waste bin, water
bottle, water cooler, water gun, webcam, welding helmet, welding mask, wheelie bin, whiteboard
marker, wi fi router, wind turbine, window, wire stripper, wooden block, wooden spoon, work
glove, worm, wrapping paper, yoga mat, zip tie, excavator, mailman, seed, sprinkler, tweezers,
fist, open hand, closed hand, pointing finger, ok sign, peace sign, smile, frown, crack, hole,
leak, rust, scratch, stain, mould, mold, spill, puddle, trash, litter, weed, man, woman, boy,
girl, adult, kid, toddler, bride, nun, mother, father, grandmother, grandfather, waitress, nurse,
actress, queen, princess, policewoman, witch, mermaid, crowd, empty room, wooden, metal, plastic,
leather, golden, woolen, striped, spotted, checkered, furry, fluffy, shiny, rusty, dirty, clean,
broken, cracked, empty, full, open, closed, folded, wet, dry, frozen, ripe, unripe, rotten,
sliced, cooked, raw, burnt, round, square, triangular, flat, tall, short, long, small, big,
large, tiny, old, new, vintage, modern, bright, dark, transparent, knitted, floral, sleeping,
sitting, standing, running, walking, flying, swimming, jumping, smiling, laughing, sign, road
sign, street sign, yield sign, one way sign, warning sign, exit sign, chinchilla, koi, jogger,
invoice, receipt, succulent, ssd, soundbar, post it, post it note, e reader, hairband, desk
organizer, monopoly, barbie doll, baby bottle, baby stroller, stroller, bike rack, binder clip,
bus stop, construction worker, construction site, docking station, dog walker, dish brush, egg
carton, face shield, garden fork, id card, leaf blower, lunch box, nail gun, paper airplane,
paper plane, paint bucket, perfume bottle, plant pot, remote control car, rc car, shoe rack,
smoke detector, soldering station, spare tire, stuffed bear, toy plane, traffic jam, uno card,
wasp nest, wire brush, wood glue, cotton swab, deck of cards, nesting doll, honey jar, fruit
bowl, garbage bin, bubble blower, correction fluid, police man, ram stick, thing, object, animal,
bird, insect, person, people, tool, machine, device, appliance, vehicle, food, drink, meal,
product, package, text, number, logo, sticker, label, barcode, qr code, display, indicator light,
button, switch, knob, dial, gauge, water meter, electricity meter, valve, pump, sensor, robot,
robot arm, conveyor belt, pallet, crate, trolley, shopping trolley, baby buggy, pram, nappy,
torch, spanner, lorry, rubbish bin, dustbin, bin bag, biro, sellotape, hoover, telly, loo,
cooker, hob, dressing gown, jumper, trainers, wellies, football boots, cricket bat, hockey stick,
skate, snowboard, surfboard, kayak, paddle, life jacket, tent, sleeping bag, campfire,
torchlight, flashlight, compass, binoculars, telescope, microscope, test tube, petri dish,
pipette, goggles, lab coat, face, eye, mouth, ear, hair, beard, hand, finger, thumb, foot, leg,
arm, pointing hand, waving hand, rock paper scissors, open door, closed door, open window, light
on, light off, empty chair, empty bottle, full bottle, ripe banana, rotten apple, dead plant,
wilted plant, dirty dishes, clean plate, broken glass, flat tire, snowman, snowflake, icicle,
frost, fog, sunrise, sunset, night sky, starry sky, blue sky, cloudy sky, fireman, policeman,
milkman, fisherman, snowplow, mail, cell, light, market, nursery, coach, claw, spiral, spike,
bullet, head, hip, beam, site, panther, sloth,
dragon, monster, ghost, angel, unicorn, samurai, ninja, pirate, wizard, zombie, vampire, superhero,
snowstorm, hailstone, cyclone, tornado, yoga, exercise, race, weaving, bathing, choir, orchestra,
macaroni, swiss roll, toilet roll, extension lead, plug socket, oven glove, tower crane, security
guard, o ring, american flag, european flag, german flag, union jack, lollipop lady, crescent moon,
round table, bubble bath, white wine, red wine, surprise party, birthday party, wedding, concert,
fireworks, bonfire, parade, traffic warden, bus driver, taxi driver, train driver, cartoon, comic,
comic book, photo album, selfie, screenshot, spreadsheet, toolbar, fall leaves, autumn leaves,
shooting star, northern lights, solar eclipse, full moon, half moon, milky way, rocket launch,
angry man, happy child, smiling woman, sleeping baby, tired, asleep, awake, hug, kiss, handshake,
salute, applause, shrug, wink, arguing, fighting, sneezing, coughing, climbing, hiking, rowing,
sailing, surfing, skiing, ice skating, skateboarding, horse riding, painting a wall, gardening,
shopping, sweeping, mopping, ironing, knitting, sewing, drawing, writing, singing, praying,
meditating, stretching, lifting weights, crawling, hanging out washing, feeding the birds, white,
off white, blonde, grassy, sandy, snowy, rocky, muddy, dusty, sunny, rainy, foggy, stormy, windy,
wild, urban, rural, natural, underwater, outdoor, indoor, japanese, chinese, american, european,
german, british, french, italian, mexican, zen garden, japanese garden, rodeo, rodeo arena,
junkyard, broadleaf forest, natural history museum
"""
# The dishes of Food-101 (Bossard et al., ECCV 2014), by their class names.
FOOD = """
apple pie, baby back ribs, baklava, beef carpaccio, beef tartare, beet salad, beignets, bibimbap,
bread pudding, breakfast burrito, bruschetta, caesar salad, cannoli, caprese salad, carrot cake,
ceviche, cheese plate, cheesecake, chicken curry, chicken quesadilla, chicken wings, chocolate
cake, chocolate mousse, churros, clam chowder, club sandwich, crab cakes, creme brulee, croque
madame, cupcakes, deviled eggs, donuts, dumplings, edamame, eggs benedict, escargots, falafel,
filet mignon, fish and chips, foie gras, french fries, french onion soup, french toast, fried
calamari, fried rice, frozen yogurt, garlic bread, gnocchi, greek salad, grilled cheese sandwich,
grilled salmon, guacamole, gyoza, hamburger, hot and sour soup, hot dog, huevos rancheros, hummus,
ice cream, lasagna, lobster bisque, lobster roll sandwich, macaroni and cheese, macarons, miso
soup, mussels, nachos, omelette, onion rings, oysters, pad thai, paella, pancakes, panna cotta,
peking duck, pho, pizza, pork chop, poutine, prime rib, pulled pork sandwich, ramen, ravioli, red
velvet cake, risotto, samosa, sashimi, scallops, seaweed salad, shrimp and grits, spaghetti
bolognese, spaghetti carbonara, spring rolls, steak, strawberry shortcake, sushi, tacos, takoyaki,
tiramisu, tuna tartare, waffles
"""

# The flowers of Flowers-102 (Nilsback and Zisserman, ICVGIP 2008), by their class names.
FLOWERS = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger
lily, moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king
protea, spear thistle, yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower,
giant white arum lily, fire lily, pincushion flower, fritillary, red ginger, grape hyacinth, corn
poppy, prince of wales feathers, stemless gentian, artichoke, sweet william, carnation, garden
phlox, love in the mist, mexican aster, alpine sea holly, ruby-lipped cattleya, cape flower, great
masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia, bolero deep
blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia, wild pansy, primula,
sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow dahlia,
cautleya spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum,
spring crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn
apple, morning glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus,
columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee
balm, ball moss, foxglove, bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket
flower, trumpet creeper, blackberry lily
"""
# What makers point cameras at and WordNet 3.0 lacks, spells in rare pieces or hides.
MAKERS = """
european robin, american robin, blue tit, great tit, coal tit, marsh tit, willow tit, long-tailed
tit, crested tit, house sparrow, tree sparrow, goldfinch, greenfinch, chaffinch, bullfinch, siskin,
brambling, hawfinch, wren, dunnock, blackbird, song thrush, mistle thrush, fieldfare, redwing,
starling, nuthatch, treecreeper, great spotted woodpecker, green woodpecker, jay, magpie, jackdaw,
rook, carrion crow, wood pigeon, collared dove, barn owl, tawny owl, little owl, kestrel,
sparrowhawk, buzzard, red kite, kingfisher, grey heron, mute swan, canada goose, mallard, moorhen,
coot, blue jay, northern cardinal, chickadee, mourning dove, downy woodpecker, hummingbird, crane
bird, construction crane, waxwing, swallow bird, house martin, swift bird, white stork, pied
wagtail, yellowhammer, blackcap, chiffchaff, goldcrest, hedgehog, red squirrel, grey squirrel, red
panda, meerkat, capybara, axolotl, bearded dragon, leopard gecko, crested gecko, ball python, corn
snake, cockatiel, lovebird, budgerigar, sugar glider, dwarf hamster, lop rabbit, alpaca, quokka,
labradoodle, cockapoo, cavapoo, goldendoodle, french bulldog, jack russell, border collie, corgi,
shiba inu, husky, german shepherd, golden retriever, labrador, poodle, dachshund, chihuahua, maine
coon, ragdoll cat, british shorthair, sphynx cat, bengal cat, tabby cat, tuxedo cat, calico cat,
ginger cat, black cat, monstera, spider plant, snake plant, aloe vera, peace lily, rubber plant,
jade plant, pothos, bonsai, air plant, venus flytrap, cherry tomato, bell pepper, chili pepper, bok
choy, pak choi, kimchi, kombucha, bubble tea, boba tea, matcha, poke bowl, acai bowl, smoothie,
shakshuka, tteokbokki, bulgogi, banh mi, laksa, udon, soba, tempura, onigiri, mochi, dim sum,
shawarma, doner kebab, gyros, souvlaki, moussaka, pierogi, schnitzel, currywurst, bratwurst,
pretzel, croissant, pain au chocolat, macaron, eclair, naan, roti, dosa, biryani, tikka masala,
empanada, arepa, tamale, enchilada, fajita, burrito bowl, avocado toast, granola bar, protein bar,
energy drink, oat milk, oscilloscope, logic analyzer, bench power supply, function generator, heat
shrink tubing, crimping tool, wire cutter, ribbon cable, jst connector, terminal block, stepper
motor, brushless motor, limit switch, potentiometer, rotary encoder, push button, relay module,
buck converter, lipo battery, coin cell, 18650 battery, aa battery, 9v battery, esp32, stm32 board,
camera module, lcd screen, oled display, e ink display, neopixel, seven segment display,
breadboard wire, heat gun, calipers, 3d print, filament spool, print bed, hot end, nozzle, timing
belt, linear rail, ball bearing, lead screw, threaded insert, hex nut, wing nut, lock nut, washer,
wood screw, wall plug, rivet, dowel, plywood, mdf board, drill press, band saw, table saw, jigsaw
tool, circular saw, orbital sander, impact driver, hot air station, air compressor, recycling bag,
compost bin, beverage carton, tetra pak, crushed can, aluminium foil, glass jar, egg box, coffee
pod, cling film, styrofoam, cigarette butt, disposable cup, face mask, vape, roundabout, zebra
crossing, speed camera, speed bump, cargo bike, food delivery rider, tram stop, road works, traffic
barrier, ev charger, charging station, parking space, empty parking space, parked car, number
plate, wheelchair user, guide dog, rain, heavy rain, drizzle, hail, thunderstorm, lightning, sleet,
overcast sky, clear sky, rainbow, snowfall, icy road, wet road, happy face, sad face, angry face,
surprised face, crying, yawning, closed eyes, open eyes, thinking, reading a book, typing, cooking,
eating, drinking, brushing teeth, washing dishes, vacuuming, sleeping cat, sleeping dog, person
sleeping, person sitting, person standing, person lying down, falling down, waving, clapping,
dancing, cycling, jogging, push up, squat, yoga pose, playing guitar, phone call, sports ball,
computer mouse, field mouse, bat animal, baseball bat, robotic vacuum, doorbell camera, parcel on
doorstep, open drawer, closed drawer, full bin, empty bin, overflowing bin, open fridge, dripping
tap, boiling water, frying egg, burnt toast, mouldy bread, ripe tomato, green tomato, brown banana,
green banana, yellow leaf, powdery mildew, aphid, slug, spider mite, whitefly, caterpillar, varroa
mite, honey bee, bumblebee, asian hornet, carpenter bee, wool carder bee, tower crane, mole animal,
hoodie, moustache, caravan, hiker, mail carrier, delivery person, alphabet, mars planet, saturn,
jupiter, colour, harbour, cheque, victory sign, open palm, rock hand, paper hand, scissors hand,
cat flap, cat litter, hamster wheel, coke can, hair straightener, cotton bud, tea light, scented
candle, advent wreath, advent calendar, curtain rail, air purifier, dehumidifier, fan heater,
carbon monoxide alarm, fuse box, mop bucket, feather duster, dishwasher tablet, bauble, christmas,
easter, halloween, christmas pudding, christmas stocking, easter egg, easter bunny, lint roller,
kitchen timer, bathroom scale, kitchen scale, changing mat, baby gate, sippy cup, washing up
liquid, rubber glove, spray bottle, shampoo bottle, soap bottle, bleach, bleach bottle, fire
blanket, wood stove, log pile, picture hook, zimmer frame, cotton wool, bunch of flowers, ball of
yarn, tupperware, robot lawn mower, raised bed, bird box, bat box, bug hotel, patio heater, sun
lounger, paddling pool, seed tray, compost heap, slug pellet, polytunnel, decking, garden gate,
fence panel, garden twine, bamboo cane, pond liner, koi pond, grow light, hanging basket, raspberry
bush, strawberry plant, chilli plant, tomato seedling, runner bean, swiss chard, kohlrabi,
wisteria, hyacinth, allium, zinnia, lily of the valley, japanese knotweed, giant hogweed, dock
leaf, dandelion clock, seaweed, fly agaric, toadstool, slime mould, cabbage white, shield bug, vine
weevil, lily beetle, colorado beetle, japanese beetle, spotted lanternfly, house spider, jumping
spider, snail shell, stick bug, magpie nest, cheese grater, measuring jug, muffin tin, cake tin,
loaf tin, casserole dish, moka pot, cafetiere, french press, sandwich toaster, hand blender, ice
cube tray, sugar cube, baked beans, gummy bear, nutella, halloumi, feta, parmesan, sourdough,
sourdough bread, pitta bread, cheese toastie, apple crumble, roast chicken, roast potato, yorkshire
pudding, brussels sprout, dragon fruit, unripe banana, green strawberry, rubber mallet, g clamp,
vice, bench vice, hole saw, laser cutter, cnc router, failed print, spaghetti print, benchy, 3d
printer filament, solder, solder wick, solder flux, helping hands, dip switch, usb, usb c cable,
power supply, power adapter, perfboard, prototype board, hot glue, hot glue gun, super glue, epoxy,
wd 40, wire spool, ratchet strap, stanley knife, craft knife, red traffic light, green traffic
light, amber traffic light, no entry sign, give way sign, no parking sign, cycle lane, bin lorry,
combine harvester, quad bike, mobility scooter, camper van, horse trailer, skip, double decker bus,
skateboarder, cat bed, cat carrier, scratching post, dog lead, dog poo, dog harness, dog kennel,
hamster cage, hamster ball, pygmy goat, shetland pony, highland cow, bearded collie, staffie,
yorkie, westie, lurcher, tortoiseshell cat, white cat, grey cat, muntjac, african grey parrot,
clownfish, neon tetra, siamese fighting fish, discus fish, plecostomus, cherry shrimp, leopard
tortoise, pokemon card, hot wheels car, water balloon, nintendo switch, gamepad, playmobil, duplo,
whoopee cushion, bobble hat, odd socks, hi vis vest, reading glasses, crocs, onesie, bumbag, fanny
pack, christmas jumper, mechanical keyboard, second monitor, desk fan, water dispenser, pin board,
washing line, clothes airer, door wedge, draught excluder, blackout blind, net curtain, key hook,
extension reel, floor tile, radiator valve, loft hatch, stair gate, recycling box, food caddy, wine
rack, knife block, sink plug, bath plug, shower gel, hair clip, scrunchie, tool belt, work boots,
ear defenders, paint tin, grout, welding torch, soldering mat, crocodile clip, banana plug, barrel
jack, servo horn, heat shrink, ultrasonic sensor, pir sensor, infrared sensor, load cell,
thermocouple, reed switch, slide switch, battery holder, battery pack, solar charger, e paper, game
boy, playstation, xbox, snow shovel, ice scraper, car jack, jump leads, wheel clamp, phone box, bus
shelter, paddle board, swimming goggles, lifeguard, bucket and spade, sandcastle, picnic blanket,
cool box, camping stove, head torch, walking boots, trekking pole, bird hide, nest box, fat ball,
peanut feeder, squirrel feeder, hedgehog house, duck pond, garden shed, allotment, magnolia tree,
cherry tree, autumn leaf, pumpkin lantern, christmas lights, snow angel, frozen pond, weather
station
"""


def choose(wordnet: WordNet, pieces: Callable[[str], int], count: int) -> list[str]:
    """`count` names, sorted; `pieces` tells how many pieces a word is spelled in."""
    fits = _visible(wordnet)
    rarity = {}
    for name, senses in wordnet.senses.items():
        words = name.split()
        if len(words) > LONGEST or not re.fullmatch(r"[a-z][a-z' .]+", name):
            continue
        if any(word in STOP for word in words):
            continue
        total = sum(weight for _, weight in senses)
        seen = {o: weight for o, weight in senses if fits(name, o)}
        if sum(seen.values()) < 0.4 * total or any(_bad(wordnet, name, o) for o in seen):
            continue
        most, queue = VISIBLE.get(wordnet.synsets[max(seen, key=seen.get)].kind, (2, 1.5))
        long = max(map(pieces, words))
        if long <= most:
            rarity[name] = long / 2 + len(words) / 2 + queue - math.log(total) / 2
    more = ",".join((EXTRA, FOOD, FLOWERS, MAKERS))
    extra = {canonical(name) for name in more.split(",")} - {""}
    common = sorted(rarity.keys() - extra, key=lambda name: (rarity[name], name))
    return sorted(extra.union(common[: count - len(extra)]))


def _bad(wordnet: WordNet, name: str, offset: int) -> bool:
    synset = wordnet.synsets[offset]
    usage = (wordnet.synsets[u].words for u in synset.usage)
    return any(set(BAD_USAGE) & set(words) for words in usage) or bool(
        BAD_GLOSS.search(synset.gloss)
    )


def _visible(wordnet: WordNet) -> Callable[[str, int], bool]:
    """A function (name, offset) -> whether this sense of the name is visible."""
    also = {wordnet.one(*root) for root in ALSO}
    never = {wordnet.one(*root) for root in NEVER}
    persons = {wordnet.one(root, "person") for root in PERSONS}

    def fits(name: str, offset: int) -> bool:
        synset = wordnet.synsets[offset]
        if synset.instance or all(canonical(w) != name or w != w.lower() for w in synset.words):
            return False
        ancestors = wordnet.ancestors(offset).keys()
        if ancestors & never or name.endswith((" family", " genus", " order")):
            return False
        if synset.kind == "person":
            return bool(ancestors & persons)
        return synset.kind in VISIBLE or bool(ancestors & also)

    return fits

@tool
## Which object and which class a node belongs to, and the table that says what ids stand for.
##
## An object is, looking from the node upwards: the first node with metadata `renderlift_class` or
## `renderlift_instance`, or in a group `class:NAME`; else the root of the instanced scene it came from (not the main
## scene); else the node itself. Its class is what the metadata or group says, else the object's name without number.

const CLASS_META := &"renderlift_class"
const INSTANCE_META := &"renderlift_instance"
const CLASS_GROUP := "class:"
const MAX_ROWS := 60000  # the wire takes 65536; spawning for hours must not end a session

## Grows whenever the table does.
var version := 0

var _root: Node
var _classes: Dictionary = {}  # name to class id
var _rows: Dictionary = {}  # instance id to row
var _ids: Dictionary = {}  # object's get_instance_id() to instance id
var _class_ids: Dictionary = {}  # instance id to class id
var _last_id := 0


func _init(root: Node) -> void:
	_root = root


## {instance, class_id} of the object that `node` belongs to.
func of(node: Node) -> Vector2i:
	var object := _object_of(node)
	var key := object.get_instance_id()
	if not _ids.has(key):
		_deal(object)
	var id: int = _ids[key]
	return Vector2i(id, _class_ids[id])


## Rows {id, name, class_name, path}: instances, then classes (path empty).
func rows() -> Array[Dictionary]:
	var table: Array[Dictionary] = []
	table.assign(_rows.values())
	for name in _classes:
		table.append({"id": _classes[name], "name": name, "class_name": name, "path": ""})
	return table


func _deal(object: Node) -> void:
	var name := _class_of(object)
	if not _classes.has(name):
		_classes[name] = _classes.size() + 1
	var wanted: Variant = object.get_meta(INSTANCE_META, 0)
	var id: int = wanted if wanted is int and wanted > 0 else _last_id + 1
	_last_id = maxi(_last_id, id)
	_ids[object.get_instance_id()] = id
	var path := str(_root.get_path_to(object)) if _root.is_ancestor_of(object) else str(object.name)
	_class_ids[id] = _classes[name]
	_rows[id] = {"id": id, "name": str(object.name).left(64), "class_name": name, "path": path.right(1024)}
	if _rows.size() > MAX_ROWS:
		_rows.erase(_rows.keys()[0])
	version += 1


func _object_of(node: Node) -> Node:
	var up := node
	while up != null and up != _root:
		if up.has_meta(CLASS_META) or up.has_meta(INSTANCE_META) or _class_group(up) != "":
			return up
		up = up.get_parent()
	var scene: Node = null
	up = node
	while up != null and up != _root and up.get_parent() != _root:
		if up.scene_file_path != "":
			scene = up
		up = up.get_parent()
	return scene if scene != null else node


func _class_of(object: Node) -> String:
	if object.has_meta(CLASS_META):
		return str(object.get_meta(CLASS_META)).left(64)
	var group := _class_group(object)
	if group != "":
		return group.left(64)
	var stem := RegEx.create_from_string("[\\s._\\-]*\\d*$").sub(str(object.name), "")
	return (stem if stem != "" else "unnamed").left(64)


static func _class_group(node: Node) -> String:
	for group in node.get_groups():
		if str(group).begins_with(CLASS_GROUP):
			return str(group).trim_prefix(CLASS_GROUP)
	return ""
